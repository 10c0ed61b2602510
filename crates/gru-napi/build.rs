//! Passes napi's linker settings to the addon.

fn main() {
    napi_build::setup();
}

//! [`Precision`]: in which numbers the products are computed.

/// The operands of the matrix products. Sums, states, gates, gradients, parameters and losses are f32 in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32, on the ordinary arithmetic units.
    #[default]
    Fp32,
    /// f32 rounded to 10 bits below the leading one, on tensor cores.
    Tf32,
    /// bfloat16, 7 bits, on tensor cores.
    Bf16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Tf32, Self::Bf16];

    /// The one that is spelt so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }

    /// As `--precision` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

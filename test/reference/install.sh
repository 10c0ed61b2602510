#!/usr/bin/env bash
# Makes a virtual environment with PyTorch for the CPU alone: bash test/reference/install.sh FOLDER
#
# The Linux wheel of torch links the CUDA libraries even where no GPU is used. Instead of gigabytes
# of them, every CUDA function gets a stand-in that returns 100 (no such device), so that
# torch.cuda.is_available() is False. Needs gcc and binutils.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
venv=${1:?usage: install.sh FOLDER}

python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --no-deps --requirement "$here/requirements.txt"
cd "$("$venv/bin/python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')/lib"

# The functions sit in a library of their own: the loader refuses an unversioned function in a library
# that is named in a version requirement, and takes it from any other.
nm -D --undefined-only --format=just-symbols libcaffe2*.so libc10*.so libtorch*.so |
  sed 's/@.*//' | grep -E '^(cu|nv|nccl|__cuda)' | sort -u |
  sed 's/.*/long &(void) { return 100; }/' |
  gcc -shared -fPIC -w -x c - -Wl,-soname,libabsent.so -o libabsent.so
gcc -shared -x c /dev/null -Wl,--no-as-needed,-rpath,'$ORIGIN' -L. -labsent -o libempty.so
readelf -d libtorch*.so | grep -oE '\[lib(cu|nv|nccl)\w*\.so\.[0-9]+' | tr -d '[' | sort -u |
  while read -r name; do ln -sf libempty.so "$name"; done

"$venv/bin/python" -c 'import torch; assert not torch.cuda.is_available(); print("torch", torch.__version__)'

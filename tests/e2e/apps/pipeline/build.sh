# Builds a root file system with a shell and the program in it, as one layer: build.sh TARGET
set -eu
root=$(mktemp -d)
mkdir -p "$root/bin"
cp -L /bin/dash "$root/bin/sh"
cp -L "$(command -v sleep)" "$root/bin/sleep"
for library in $(LD_TRACE_LOADED_OBJECTS=1 /bin/dash | grep -o '/[^ ]*'); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cp -L /source/hello.sh "$root/hello.sh"
chmod 755 "$root/hello.sh"
tar -cf "$1" -C "$root" .

# Sourced: what a build needs that links libpng, zlib, libjpeg-turbo, libwebp and libstdc++ into its product, those named in
# `shared` excepted. Leaves a folder with what is linked in `static`, and in `scratch` a build folder of its own, for linking
# differs.
#
# The linker takes a shared library where it finds one: so a folder with the static ones alone comes first, by way of .pc files
# that name it. Each library needs one: the system's name the system's folder, which would come first for all.
scratch=.build/package
static=$PWD/$scratch/static${shared:+-but-${shared// /-}}
mkdir -p "$static"
for library in png png16 z turbojpeg webp stdc++; do
    case " ${shared:-} " in
    *" $library "*) ;;
    *) ln -sf "$(g++ -print-file-name=lib$library.a)" "$static/lib$library.a" ;;
    esac
done
describe() {
    cat >"$static/$1.pc" <<PC
Name: $1
Description: as the system's, linked in
Version: $(PKG_CONFIG_PATH= pkg-config --modversion "$1")
Libs: -L$static $2 -lm
Cflags: $(PKG_CONFIG_PATH= pkg-config --cflags "$1")
PC
}
describe libpng "-lpng16 -lz"
describe libturbojpeg -lturbojpeg
describe libwebp -lwebp

# static_build PRODUCT [OPTION…]
static_build() {
    PKG_CONFIG_PATH=$static swift build -c release --product "$1" --static-swift-stdlib --scratch-path "$scratch" \
        -Xlinker "-L$static" "${@:2}"
}

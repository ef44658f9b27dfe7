# Sourced by the other scripts: installs what is missing with apt. Nothing is asked of the network when all is there.

# What the program is linked with: PNG, JPEG, WebP.
libraries="libpng-dev libturbojpeg0-dev libwebp-dev"

# need PACKAGE... : Debian packages that must be installed.
need() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    echo "installing ${missing[*]}"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# swift_at_least VERSION: MAJOR.MINOR of the compiler on the PATH.
swift_at_least() {
    local found
    found=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -1)
    [ "$(printf '%s\n%s\n' "$1" "${found:-0}" | sort -V | head -1)" = "$1" ] && return 0
    echo "Swift $1 or newer is needed, found ${found:-none}: install a toolchain from swift.org first" >&2
    exit 66
}
swift_at_least "$(sed -nE 's|^// swift-tools-version: *||p' Package.swift)"

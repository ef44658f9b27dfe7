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

command -v swift >/dev/null || { echo "no swift on the PATH: install a Swift 6.3 or newer toolchain first" >&2; exit 66; }

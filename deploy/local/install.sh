# install.sh - sourced by ./run and ./test: finds the Debian packages that are missing and installs them on a yes.
# Needs: top (the checkout). Sets nothing else.

# packages_missing run|test: names of the packages not installed, one a line
packages_missing() {
    local scope=$1 line in_test=no choice found candidate
    while IFS= read -r line; do
        case $line in
            ''|'#'*) continue ;;
            '[test]') in_test=yes; continue ;;
        esac
        [ "$in_test" = yes ] && [ "$scope" != test ] && continue
        found=no candidate=
        for choice in ${line//|/ }; do
            if dpkg-query -W -f='${db:Status-Status}\n' "$choice" 2>/dev/null | grep -qx installed; then
                found=yes
                break
            fi
        done
        [ "$found" = yes ] && continue
        for choice in ${line//|/ }; do
            if [ "$choice" = "$line" ] || apt-cache show "$choice" >/dev/null 2>&1; then
                candidate=$choice
                break
            fi
        done
        printf '%s\n' "${candidate:-${line%%|*}}"
    done < "$top/deploy/local/packages.txt"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# without_daemons COMMAND…: what it installs starts nothing: the suite has a Redis of its own, and of Prometheus only promtool
# is wanted.
without_daemons() (
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && { "$@"; exit; }
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy" && "$@"
)

# disable_new NAME PACKAGES…: a daemon among the packages just installed is not to start with the machine either
disable_new() {
    local daemon=$1
    shift
    case " $(echo "$@") " in
        *" $daemon "*) command -v systemctl >/dev/null && as_root systemctl disable "$daemon" || true ;;
    esac
}

# packages_install run|test yes|no: lists what is missing, asks unless the second word is yes, installs
packages_install() {
    local scope=$1 is_agreed=$2 missing answer log
    missing=$(packages_missing "$scope")
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        printf 'Missing Debian packages, and neither root nor sudo to install them. As root:\n  apt-get install %s\n' "$(echo $missing)" >&2
        return 1
    fi
    printf 'Missing Debian packages:\n'
    printf '  %s\n' $missing
    if [ "$is_agreed" != yes ]; then
        if [ ! -t 0 ]; then
            printf 'Not asked on a terminal: say --yes to have them installed.\n' >&2
            return 1
        fi
        read -r -p 'Install them now? [y/N] ' answer
        case $answer in y|Y|yes) ;; *) return 1 ;; esac
    fi
    log=$(mktemp)
    printf 'Installing (a minute or two on a new machine) …\n'
    if ! { as_root apt-get update && missing=$(packages_missing "$scope") &&
           without_daemons as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing &&
           disable_new prometheus $missing; } >"$log" 2>&1; then
        printf 'Installing failed:\n' >&2
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

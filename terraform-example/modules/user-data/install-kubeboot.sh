#!/bin/sh
# Installs a package of kubeboot: install-kubeboot URL SHA256. Nothing is installed but what has this SHA-256.
set -eu

url=$1
sha256=$2

# Nobody looks at a machine that says nothing: this is in the journal, in cloud-init's log and on the serial console.
leave() {
    code=$?
    rm -rf "$folder"
    [ "$code" -ne 0 ] || return 0
    message="kubeboot is not installed, and not started: this machine stays in its launch hook until its time is over. The cause stands above, in /var/log/cloud-init-output.log."
    echo "install-kubeboot: $message" >&2
    logger -t install-kubeboot -p daemon.err "$message" || true
}

folder=$(mktemp -d)
trap leave EXIT
package=$folder/${url##*/}

# Tries a command for five minutes: names and credentials may take as long at the first boot.
again() {
    left=30
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 10
    done
}

# dpkg does not wait where another has its lock, as unattended upgrades do at the first boot: ten minutes are waited here.
install_deb() {
    left=60
    # The settings are there before the package, which brings a file of its own in their place: rpm keeps the older by itself.
    until said=$(LC_ALL=C dpkg --force-confold --install "$package" 2>&1); do
        echo "$said"
        left=$((left - 1))
        case $said in
        *lock*) [ "$left" -gt 0 ] || return 1 ;;
        *) return 1 ;;
        esac
        sleep 10
    done
    echo "$said"
}

case $url in
s3://*) again aws s3 cp --only-show-errors --cli-connect-timeout 10 --cli-read-timeout 60 "$url" "$package" ;;
https://*)
    again curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 --connect-timeout 10 --max-time 300 \
        --output "$package" "$url"
    ;;
*)
    echo "install-kubeboot: '$url' is neither s3:// nor https://" >&2
    exit 2
    ;;
esac

echo "$sha256  $package" | sha256sum --check --quiet -

case $package in
*.deb) install_deb ;;
# The same package may be in the image, or a newer one: this one is what was asked for. rpm waits for its lock itself.
*.rpm) rpm --upgrade --replacepkgs --oldpackage "$package" ;;
*)
    echo "install-kubeboot: '$url' is neither a .deb nor an .rpm" >&2
    exit 2
    ;;
esac

#!/bin/sh
# Installs a package of kubeboot: install-kubeboot URL SHA256. Nothing is installed but what has this SHA-256.
set -eu

url=$1
sha256=$2

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
package=$folder/${url##*/}

case $url in
s3://*) aws s3 cp --only-show-errors "$url" "$package" ;;
https://*) curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 --retry 5 --output "$package" "$url" ;;
*)
    echo "install-kubeboot: '$url' is neither s3:// nor https://" >&2
    exit 2
    ;;
esac

echo "$sha256  $package" | sha256sum --check --quiet -

case $package in
# The settings are there before the package, which brings a file of its own in their place: rpm keeps the older by itself.
*.deb) dpkg --force-confold --install "$package" ;;
*.rpm) rpm --upgrade "$package" ;;
*)
    echo "install-kubeboot: '$url' is neither a .deb nor an .rpm" >&2
    exit 2
    ;;
esac

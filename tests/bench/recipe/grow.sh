#!/usr/bin/env bash
# The whole recipe: who is told "init" by decide.sh initialises and uploads what the others join by; they look for that every few seconds, and
# then join all at once. It has neither claim nor lease, and does not see who fails.
set -euo pipefail

: "${BUCKET:?}" "${PREFIX:?}" "${ENDPOINT:?}"
here=$(dirname "${BASH_SOURCE[0]}")
version=$(kubeadm version --output short)
address=$(hostname --ip-address)
umask 077

# Only files are shared here, and no token on a command line, for the stand-in for kubeadm discovers by file alone.
initialise() {
    local key
    key=$(kubeadm certs certificate-key)
    cat >/run/init.yaml <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
certificateKey: $key
localAPIEndpoint: {advertiseAddress: $address}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $version
controlPlaneEndpoint: $ENDPOINT
EOF
    kubeadm init --config /run/init.yaml --upload-certs
    aws s3api put-object --bucket "$BUCKET" --key "$PREFIX/admin.conf" --body /etc/kubernetes/admin.conf >/dev/null
    printf %s "$key" >/run/token
    aws s3api put-object --bucket "$BUCKET" --key "$PREFIX/token" --body /run/token >/dev/null
}

join() {
    aws s3api get-object --bucket "$BUCKET" --key "$PREFIX/token" /run/token >/dev/null
    aws s3api get-object --bucket "$BUCKET" --key "$PREFIX/admin.conf" /run/admin.conf >/dev/null
    cat >/run/join.yaml <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery: {file: {kubeConfigPath: /run/admin.conf}}
controlPlane:
  certificateKey: $(cat /run/token)
  localAPIEndpoint: {advertiseAddress: $address}
EOF
    kubeadm join --config /run/join.yaml
}

export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-eu-central-1}
while decision=$("$here/decide.sh") && [ "$decision" = "wait" ]; do
    sleep 10
done
case ${decision:?} in
init) initialise ;;
join) join ;;
esac

#!/usr/bin/env bash
# The recipe that many control planes on AWS boot by, as it is passed around: the lowest instance ID of the whole group initialises, unless
# a token is published already. Prints "init", "join" or "wait". Needs the aws cli, jq and curl.
set -euo pipefail

: "${BUCKET:?}" "${PREFIX:?}"
imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
token=$(curl --silent --fail --request PUT --header "X-aws-ec2-metadata-token-ttl-seconds: 300" "$imds/latest/api/token")

metadata() {
    curl --silent --fail --header "X-aws-ec2-metadata-token: $token" "$imds/latest/$1"
}

instance=$(metadata meta-data/instance-id)
AWS_DEFAULT_REGION=$(metadata dynamic/instance-identity/document | jq --raw-output .region)
export AWS_DEFAULT_REGION AWS_DEFAULT_OUTPUT=json

group=$(aws autoscaling describe-auto-scaling-instances --instance-ids "$instance" |
    jq --raw-output '.AutoScalingInstances[0].AutoScalingGroupName')
described=$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$group")
wanted=$(jq '.AutoScalingGroups[0].DesiredCapacity' <<<"$described")
mapfile -t members < <(jq --raw-output '.AutoScalingGroups[0].Instances[] | select(.LifecycleState == "InService") | .InstanceId' <<<"$described")
running=$(aws ec2 describe-instances --instance-ids "${members[@]}" --filters Name=instance-state-name,Values=running |
    jq '[.Reservations[].Instances[].InstanceId] | sort')

if aws s3api get-object --bucket "$BUCKET" --key "$PREFIX/token" /dev/null >/dev/null 2>&1; then
    echo join
elif [ "$(jq length <<<"$running")" = "$wanted" ] && [ "$(jq --raw-output '.[0]' <<<"$running")" = "$instance" ]; then
    echo init
else
    echo wait
fi

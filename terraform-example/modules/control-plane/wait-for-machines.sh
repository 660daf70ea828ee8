#!/bin/sh
# Waits until a group has machines in service: wait-for-machines GROUP REGION COUNT MINUTES. It only looks.
set -eu

group=$1
region=$2
count=$3
left=$(($4 * 4))

in_service() {
    aws autoscaling describe-auto-scaling-groups --region "$region" --auto-scaling-group-names "$group" \
        --cli-connect-timeout 10 --cli-read-timeout 30 --output text \
        --query "length(AutoScalingGroups[].Instances[] | [?LifecycleState=='InService'])"
}

told=
while :; do
    # A question that fails is asked again. What the AWS CLI says of it stands above the end.
    found=$(in_service) || found=unknown
    if [ "$found" != "$told" ]; then
        echo "machines of $group in service: $found of $count"
        told=$found
    fi
    case $found in
    '' | *[!0-9]*) ;;
    *) [ "$found" -lt "$count" ] || exit 0 ;;
    esac
    left=$((left - 1))
    [ "$left" -gt 0 ] || break
    sleep 15
done

echo "wait-for-machines: $group has not $count machines in service after $4 minutes. Nothing is lost, and kubeboot goes on:" \
    "docs/getting-started.md says how to ask a machine. The next apply waits again." >&2
exit 1

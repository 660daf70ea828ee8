# What an operator needs next (docs/getting-started.md goes on from here), and what others build on.

output "cluster_endpoint" {
  description = "The control-plane endpoint, for kubeconfig files and for workers."
  value       = "https://${local.endpoint}"

  # Nobody should be told of an endpoint behind which no machine is.
  depends_on = [aws_autoscaling_group.control_plane]
}

output "autoscaling_group_name" {
  description = "The Auto Scaling group of the machines."
  value       = aws_autoscaling_group.control_plane.name
}

output "record" {
  description = "The cluster record: which cluster there is, and since when."
  value       = "s3://${var.bucket}/${local.record_key}"
}

output "ca_hash" {
  description = "The object with the hash of the CA's public key, as kubeadm join takes it by hand (--discovery-token-ca-cert-hash)."
  value       = "s3://${var.bucket}/${local.prefix}/join/discovery-token-ca-cert-hash"
}

output "iam_role_name" {
  description = "The machines' IAM role."
  value       = aws_iam_role.machine.name
}

output "launch_role_arn" {
  description = "The service-linked role that launches the machines: it needs a grant where the image is under a key of your own."
  value       = aws_iam_service_linked_role.group.arn
}

output "security_group_id" {
  description = "The machines' security group, in which the control plane is."
  value       = aws_security_group.machines.id
}

output "worker_security_group_id" {
  description = "The security group of workers: those of your own reach the control plane from here, and the control plane them."
  value       = aws_security_group.workers.id
}

output "load_balancer_security_group_id" {
  description = "The load balancer's security group: whoever it lets in reaches the API. None without create_load_balancer."
  value       = one(aws_security_group.endpoint[*].id)
}

output "list_machines" {
  description = "A command that lists the machines with their states."
  value       = "aws autoscaling describe-auto-scaling-groups --region ${local.region} --auto-scaling-group-names ${local.name} --query 'AutoScalingGroups[].Instances[].[InstanceId,LifecycleState,AvailabilityZone]' --output text"
}

output "open_tunnel" {
  description = "A command that brings the API to this computer's port 6443, through the machine INSTANCE_ID."
  value       = "aws ssm start-session --region ${local.region} --target INSTANCE_ID --document-name AWS-StartPortForwardingSessionToRemoteHost --parameters host=${local.host},portNumber=${local.endpoint_port},localPortNumber=${local.port}"
}

output "start_refresh" {
  description = "A command that replaces the machines that are out of date, one by one."
  value       = "aws autoscaling start-instance-refresh --region ${local.region} --auto-scaling-group-name ${local.name} --preferences '${jsonencode(local.refresh)}'"
}

output "prefix" {
  description = "The cluster's folder in the bucket, without a '/' at its end."
  value       = local.prefix
}

output "bucket" {
  description = "The bucket of the cluster record, by its name."
  value       = var.create_bucket ? aws_s3_bucket.control_plane[0].bucket : var.bucket
}

output "bucket_arn" {
  description = "The ARN of the bucket of the cluster record."
  value       = local.bucket_arn
}

output "bucket_kms_key_arn" {
  description = "The KMS key under which the bucket keeps everything but the CA keys: what workers read is under it."
  value       = local.key_arns.bucket
}

output "pki_kms_key_arn" {
  description = "The KMS key under which the bucket keeps the CA keys. The machines alone may use it."
  value       = local.key_arns.pki
}

output "volumes_kms_key_arn" {
  description = "The KMS key of the machines' disks."
  value       = local.key_arns.volumes
}

output "autoscaling_group_arn" {
  description = "The ARN of the Auto Scaling group of the machines."
  value       = aws_autoscaling_group.control_plane.arn
}

output "launch_template_id" {
  description = "The launch template of the machines."
  value       = aws_launch_template.machine.id
}

output "iam_role_arn" {
  description = "The ARN of the machines' IAM role."
  value       = aws_iam_role.machine.arn
}

output "load_balancer_arn" {
  description = "The load balancer of the endpoint. None without create_load_balancer."
  value       = one(aws_lb.endpoint[*].arn)
}

output "load_balancer_dns_name" {
  description = "The load balancer's own name, for a record of yours. None without create_load_balancer."
  value       = one(aws_lb.endpoint[*].dns_name)
}

output "target_group_arn" {
  description = "The target group in which the machines are. None without create_load_balancer."
  value       = one(aws_lb_target_group.api[*].arn)
}

output "zone_id" {
  description = "The private zone in which the endpoint has its name. None without create_load_balancer."
  value       = var.create_load_balancer ? local.zone_id : null
}

output "iam_instance_profile_arn" {
  description = "The instance profile of the machines."
  value       = aws_iam_instance_profile.machine.arn
}

output "snapshot_bucket" {
  description = "The bucket in which the snapshots of etcd are, by its name."
  value       = local.snapshot_bucket
}

output "bucket_policy" {
  description = "What the policy of the cluster's bucket says, as JSON: for a bucket that was there before (create_bucket)."
  value       = local.bucket_policy
}

output "kms_key_policies" {
  description = "What the policies of the keys say, as JSON, by what the keys are for: for those that were there before (kms_key_arns)."
  value = {
    bucket    = local.key_of_bucket
    pki       = local.key_of_machines
    volumes   = local.key_of_volumes
    snapshots = local.key_of_machines
  }
}

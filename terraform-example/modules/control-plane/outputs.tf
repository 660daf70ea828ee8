# What an operator needs next (docs/getting-started.md goes on from here), and what others build on.

output "endpoint" {
  description = "The control-plane endpoint, for kubeconfig files and for workers."
  value       = "https://${local.endpoint}"

  # Nobody should be told of an endpoint behind which no machine is.
  depends_on = [aws_autoscaling_group.control_plane]
}

output "group" {
  description = "The Auto Scaling group of the machines."
  value       = aws_autoscaling_group.control_plane.name
}

output "record" {
  description = "The cluster record: which cluster there is, and since when."
  value       = "s3://${aws_s3_bucket.control_plane.bucket}/${local.record_key}"
}

output "ca_hash" {
  description = "The object with the hash of the CA's public key, by which a worker knows the right cluster."
  value       = "s3://${aws_s3_bucket.control_plane.bucket}/${local.prefix}/join/discovery-token-ca-cert-hash"
}

output "machine_role" {
  description = "The machines' IAM role."
  value       = aws_iam_role.machine.name
}

output "launch_role" {
  description = "The service-linked role that launches the machines: it needs a grant where the image is under a key of your own."
  value       = aws_iam_service_linked_role.group.arn
}

output "machine_security_group" {
  description = "The machines' security group, in which the control plane is."
  value       = aws_security_group.machines.id
}

output "worker_security_group" {
  description = "The security group of workers: those of your own reach the control plane from here, and the control plane them."
  value       = aws_security_group.workers.id
}

output "endpoint_security_group" {
  description = "The load balancer's security group: whoever it lets in reaches the API."
  value       = aws_security_group.endpoint.id
}

output "list_machines" {
  description = "A command that lists the machines with their states."
  value       = "aws autoscaling describe-auto-scaling-groups --region ${local.region} --auto-scaling-group-names ${local.name} --query 'AutoScalingGroups[].Instances[].[InstanceId,LifecycleState,AvailabilityZone]' --output text"
}

output "open_tunnel" {
  description = "A command that brings the API to this computer's port 6443, through the machine INSTANCE_ID."
  value       = "aws ssm start-session --region ${local.region} --target INSTANCE_ID --document-name AWS-StartPortForwardingSessionToRemoteHost --parameters host=${local.host},portNumber=${local.port},localPortNumber=${local.port}"
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
  value       = aws_s3_bucket.control_plane.bucket
}

output "bucket_arn" {
  description = "The bucket of the cluster record."
  value       = aws_s3_bucket.control_plane.arn
}

output "bucket_key_arn" {
  description = "The KMS key under which the bucket keeps everything but the CA keys: what workers read is under it."
  value       = aws_kms_key.bucket.arn
}

output "pki_key_arn" {
  description = "The KMS key under which the bucket keeps the CA keys. The machines alone may use it."
  value       = aws_kms_key.pki.arn
}

output "volumes_key_arn" {
  description = "The KMS key of the machines' disks."
  value       = aws_kms_key.volumes.arn
}

output "group_arn" {
  description = "The ARN of the Auto Scaling group of the machines."
  value       = aws_autoscaling_group.control_plane.arn
}

output "launch_template_id" {
  description = "The launch template of the machines."
  value       = aws_launch_template.machine.id
}

output "machine_role_arn" {
  description = "The ARN of the machines' IAM role."
  value       = aws_iam_role.machine.arn
}

output "load_balancer_arn" {
  description = "The load balancer of the endpoint."
  value       = aws_lb.endpoint.arn
}

output "target_group_arn" {
  description = "The target group in which the machines are."
  value       = aws_lb_target_group.api.arn
}

output "zone_id" {
  description = "The private zone in which the endpoint has its name."
  value       = aws_route53_zone.private.zone_id
}

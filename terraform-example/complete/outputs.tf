# What an operator needs next. docs/getting-started.md goes on from here.

output "cluster_endpoint" {
  description = "The control-plane endpoint, for kubeconfig files and for workers."
  value       = module.control_plane.cluster_endpoint
}

output "autoscaling_group_name" {
  description = "The Auto Scaling group of the machines."
  value       = module.control_plane.autoscaling_group_name
}

output "record" {
  description = "The cluster record: which cluster there is, and since when."
  value       = module.control_plane.record
}

output "ca_hash" {
  description = "The object with the hash of the CA's public key, as kubeadm join takes it by hand (--discovery-token-ca-cert-hash)."
  value       = module.control_plane.ca_hash
}

output "iam_role_name" {
  description = "The machines' IAM role."
  value       = module.control_plane.iam_role_name
}

output "launch_role_arn" {
  description = "The service-linked role that launches the machines: it needs a grant where the image is under a key of your own."
  value       = module.control_plane.launch_role_arn
}

output "security_group_id" {
  description = "The machines' security group, in which the control plane is."
  value       = module.control_plane.security_group_id
}

output "worker_security_group_id" {
  description = "The security group of workers: those of your own reach the control plane from here, and the control plane them."
  value       = module.control_plane.worker_security_group_id
}

output "worker_groups" {
  description = "The Auto Scaling groups of workers by their names in the variable."
  value       = { for name, made in module.workers : name => made.autoscaling_group_name }
}

output "load_balancer_security_group_id" {
  description = "The load balancer's security group: whoever it lets in reaches the API. None without create_load_balancer."
  value       = module.control_plane.load_balancer_security_group_id
}

output "list_machines" {
  description = "A command that lists the machines with their states."
  value       = module.control_plane.list_machines
}

output "open_tunnel" {
  description = "A command that brings the API to this computer's port 6443, through the machine INSTANCE_ID."
  value       = module.control_plane.open_tunnel
}

output "start_refresh" {
  description = "A command that replaces the machines that are out of date, one by one."
  value       = module.control_plane.start_refresh
}

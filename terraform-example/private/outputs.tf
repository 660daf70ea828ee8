# What an operator needs next. docs/getting-started.md goes on from here.

output "cluster_endpoint" {
  description = "The control-plane endpoint, for kubeconfig files and for workers."
  value       = module.control_plane.cluster_endpoint
}

output "launch_role_arn" {
  description = "The service-linked role that launches the machines: it needs a grant where the image is under a key of your own."
  value       = module.control_plane.launch_role_arn
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

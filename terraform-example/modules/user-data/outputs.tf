output "base64" {
  description = "The user data as a launch template takes it."
  value       = local.user_data_base64
}

output "bytes" {
  description = "How long it is, as EC2 counts."
  value       = local.user_data_bytes
}

output "by_name" {
  description = "The policies as JSON by their names."
  value       = merge(local.package, local.session_manager, local.source_dest_check)
}

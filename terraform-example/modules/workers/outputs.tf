output "group" {
  description = "The Auto Scaling group of the workers."
  value       = aws_autoscaling_group.workers.name
}

output "role" {
  description = "The workers' IAM role."
  value       = aws_iam_role.machine.name
}

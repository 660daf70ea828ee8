output "autoscaling_group_name" {
  description = "The Auto Scaling group of the workers."
  value       = aws_autoscaling_group.workers.name
}

output "autoscaling_group_arn" {
  description = "The ARN of the Auto Scaling group of the workers."
  value       = aws_autoscaling_group.workers.arn
}

output "launch_template_id" {
  description = "The launch template of the workers."
  value       = aws_launch_template.machine.id
}

output "iam_role_name" {
  description = "The workers' IAM role."
  value       = aws_iam_role.machine.name
}

output "iam_role_arn" {
  description = "The ARN of the workers' IAM role."
  value       = aws_iam_role.machine.arn
}

# What a machine of either role may do besides kubeboot's own work: what its options need, and the policies of others.

locals {
  # The package of kubeboot, where it comes from a bucket.
  package = startswith(var.kubeboot_package_url, "s3://") ? {
    "kubeboot-package" = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${var.partition}:s3:::${trimprefix(var.kubeboot_package_url, "s3://")}"
      }]
    })
  } : {}

  # A shell without an open port. The managed policy for this may also read every parameter of the account. These calls
  # know no resources.
  session_manager = var.session_manager ? {
    "session-manager" = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        Resource = "*"
      }]
    })
  } : {}

  # For the setting source_dest_check, and for the machine itself alone: the session by which an instance has its role is
  # named by its ID.
  source_dest_check = var.source_dest_check == "off" ? {
    "source-dest-check" = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = ["ec2:DescribeInstanceAttribute", "ec2:ModifyInstanceAttribute"]
        Resource  = "arn:${var.partition}:ec2:${var.region}:${var.account}:instance/*"
        Condition = { StringLike = { "aws:userid" = "*:$${ec2:InstanceID}" } }
      }]
    })
  } : {}
}

resource "aws_iam_role_policy" "this" {
  for_each = merge(local.package, local.session_manager, local.source_dest_check)

  name   = each.key
  role   = var.role
  policy = each.value
}

# By names that are known beforehand: the ARN of a policy that is made along with this is not.
resource "aws_iam_role_policy_attachment" "additional" {
  for_each = var.iam_role_additional_policies

  role       = var.role
  policy_arn = each.value
}

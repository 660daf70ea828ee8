# What a worker may do. The project's tests have workers join and go with exactly these policies, and try what is not in them.

resource "aws_iam_role" "machine" {
  name                 = var.name
  permissions_boundary = var.iam_role_permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = data.aws_service_principal.ec2.name }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_instance_profile" "machine" {
  name = var.name
  role = aws_iam_role.machine.name
}

resource "aws_iam_role_policy" "kubeboot" {
  name = "kubeboot"
  role = aws_iam_role.machine.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadWhatWorkersNeed"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${local.partition}:s3:::${var.bucket}/${local.prefix}/join/*"
      },
      {
        Sid       = "UseTheBucketsKey"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.bucket_kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${data.aws_partition.current.dns_suffix}" } }
      },
      {
        # This call knows no resources.
        Sid      = "SeeTheHooks"
        Effect   = "Allow"
        Action   = "autoscaling:DescribeLifecycleHooks"
        Resource = "*"
      },
      {
        Sid      = "AnswerTheHooks"
        Effect   = "Allow"
        Action   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
        Resource = "arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${var.name}"
      },
    ]
  })
}

module "role_policies" {
  source = "../role-policies"

  role                         = aws_iam_role.machine.name
  partition                    = local.partition
  region                       = local.region
  account                      = local.account
  kubeboot_package_url         = var.kubeboot_package_url
  session_manager              = var.session_manager
  source_dest_check            = lookup(var.settings, "source_dest_check", "")
  iam_role_additional_policies = var.iam_role_additional_policies
}

# What a machine may do. The project's tests run kubeboot with exactly these policies, and take each action away once.

resource "aws_iam_role" "machine" {
  name                 = local.name
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
  name = local.name
  role = aws_iam_role.machine.name
}

resource "aws_iam_role_policy" "kubeboot" {
  name = "kubeboot"
  role = aws_iam_role.machine.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # These calls know no resources. The machines are told their group; otherwise they would have to ask for it by
        # autoscaling:DescribeAutoScalingInstances.
        Sid      = "SeeTheGroup"
        Effect   = "Allow"
        Action   = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLifecycleHooks", "ec2:DescribeInstances"]
        Resource = "*"
      },
      {
        Sid      = "AnswerTheHooks"
        Effect   = "Allow"
        Action   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
        Resource = local.group_arn
      },
      {
        # For a machine that hangs (unhealthy_after). Whoever has it can have every machine of this group replaced, one by one.
        Sid      = "ReplaceWhatHangs"
        Effect   = "Allow"
        Action   = "autoscaling:SetInstanceHealth"
        Resource = local.group_arn
      },
      {
        # No condition on s3:prefix here: without this permission S3 calls a missing object forbidden, and when it
        # asks itself whether to, there is no prefix that could match.
        Sid      = "SeeTheBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketVersioning", "s3:ListBucket"]
        Resource = distinct([local.bucket_arn, local.snapshots_arn])
      },
      {
        Sid    = "ReadAndWrite"
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:PutObject"]
        Resource = [
          "${local.bucket_arn}/${local.prefix}/control-plane/*",
          "${local.bucket_arn}/${local.prefix}/join/*",
        ]
      },
      {
        # Registrations of machines that are gone, once they stand in control-plane/former/: only as they were read.
        Sid       = "RemoveFinishedRegistrations"
        Effect    = "Allow"
        Action    = "s3:DeleteObject"
        Resource  = "${local.bucket_arn}/${local.prefix}/control-plane/nodes/i-*"
        Condition = { Null = { "s3:if-match" = "false" } }
      },
      {
        # Scratch objects, by which kubeboot finds out whether the bucket honours conditions. Nothing else is deleted.
        Sid      = "RemoveScratchObjects"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${local.bucket_arn}/${local.prefix}/control-plane/nodes/check-*"
      },
      {
        # Snapshots are made and read, and neither overwritten nor deleted.
        Sid       = "SaveSnapshots"
        Effect    = "Allow"
        Action    = "s3:PutObject"
        Resource  = "${local.snapshots_arn}/${local.snapshots}*"
        Condition = { Null = { "s3:if-none-match" = "false" } }
      },
      {
        # The calls of an upload in parts that make no object take no condition.
        Sid       = "SaveSnapshotsInParts"
        Effect    = "Allow"
        Action    = "s3:PutObject"
        Resource  = "${local.snapshots_arn}/${local.snapshots}*"
        Condition = { Bool = { "s3:ObjectCreationOperation" = "false" } }
      },
      {
        Sid      = "ReadSnapshots"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject"]
        Resource = "${local.snapshots_arn}/${local.snapshots}*"
      },
      {
        # The key of the CA keys is not here: its own policy names this role.
        Sid       = "UseTheBucketsKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = local.key_arns.bucket
        Condition = { StringEquals = { "kms:ViaService" = local.s3_service } }
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

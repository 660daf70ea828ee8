# Three keys, because three kinds of people need them: whoever may look at the cluster's state, the machines alone, and
# Auto Scaling. (A fourth, for snapshots in a bucket of their own, is in snapshots.tf.) One that is there already is taken as
# it is, and its own policy has to say what stands here: the output kms_key_policies.

# For everything in the bucket but the bundles of CA keys. IAM decides who may use it, as it does for the bucket.
resource "aws_kms_key" "bucket" {
  count = local.make_key.bucket

  description             = "State of the control plane of ${var.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_of_bucket
}

# For the CA keys.
resource "aws_kms_key" "pki" {
  count = local.make_key.pki

  description             = "CA keys of ${var.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_of_machines
}

# For the machines' disks: etcd's data among it. Auto Scaling launches the machines, so it needs the key; under its
# common service-linked role it would be every group of the account that may use it.
resource "aws_kms_key" "volumes" {
  count = local.make_key.volumes

  description             = "Disks of the control plane of ${var.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_of_volumes
}

resource "aws_kms_alias" "this" {
  for_each = toset([for name in ["bucket", "pki", "volumes"] : name if local.make_key[name] > 0])

  name          = "alias/${local.name}-${each.key}"
  target_key_id = local.key_arns[each.key]
}

resource "aws_iam_service_linked_role" "group" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = local.name
  description      = "Launches the machines of ${local.name}"
}

locals {
  make_key = { for name in ["bucket", "pki", "volumes", "snapshots"] : name => contains(keys(var.kms_key_arns), name) ? 0 : 1 }

  key_arns = merge(
    {
      bucket    = one(aws_kms_key.bucket[*].arn)
      pki       = one(aws_kms_key.pki[*].arn)
      volumes   = one(aws_kms_key.volumes[*].arn)
      snapshots = one(aws_kms_key.snapshots[*].arn)
    },
    var.kms_key_arns,
  )

  account_arn = "arn:${local.partition}:iam::${local.account}:root"
  s3_service  = "s3.${local.region}.${data.aws_partition.current.dns_suffix}"

  # The account may manage such a key but not use it: no policy of IAM, however wide, opens what is under it.
  key_of_machines = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAccountManagesIt"
        Effect    = "Allow"
        Principal = { AWS = local.account_arn }
        Action = [
          "kms:CancelKeyDeletion",
          "kms:CreateAlias",
          "kms:DeleteAlias",
          "kms:DescribeKey",
          "kms:DisableKey",
          "kms:EnableKey",
          "kms:EnableKeyRotation",
          "kms:GetKeyPolicy",
          "kms:GetKeyRotationStatus",
          "kms:ListAliases",
          "kms:ListGrants",
          "kms:ListKeyPolicies",
          "kms:ListResourceTags",
          "kms:PutKeyPolicy",
          "kms:RevokeGrant",
          "kms:ScheduleKeyDeletion",
          "kms:TagResource",
          "kms:UntagResource",
          "kms:UpdateAlias",
          "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        Sid       = "TheMachinesUseItThroughS3"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.machine.arn }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "kms:ViaService" = local.s3_service } }
      },
    ]
  })

  key_of_bucket = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.key_by_iam]
  })

  key_of_volumes = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.key_by_iam,
      {
        Sid       = "AutoScalingUsesIt"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_service_linked_role.group.arn }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
      },
      {
        Sid       = "AutoScalingLetsEbsUseIt"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_service_linked_role.group.arn }
        Action    = "kms:CreateGrant"
        Resource  = "*"
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
    ]
  })

  key_by_iam = {
    Sid       = "IamDecides"
    Effect    = "Allow"
    Principal = { AWS = local.account_arn }
    Action    = "kms:*"
    Resource  = "*"
  }
}

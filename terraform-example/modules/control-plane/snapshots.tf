# Snapshots of etcd: where they are kept, how long, and the alarm for the one that did not come. Whoever reads one has every
# Secret of the cluster. Machines create and read them; only time deletes one, and of kind final only an operator: a cluster
# that hibernates lives in its final snapshot, however long.

locals {
  # A bucket of their own, or a folder of the cluster's. Both have the same lifecycle rules, and their policies say the same of who
  # writes and deletes. Only a bucket of their own has Object Lock, and a key of its own; a folder is under the one of the CA keys.
  own_bucket      = var.snapshot_bucket != ""
  snapshot_bucket = local.own_bucket ? var.snapshot_bucket : var.bucket
  snapshots_arn   = "arn:${local.partition}:s3:::${local.snapshot_bucket}"
  snapshots       = "${local.prefix}/snapshots/"

  # What ends by age: names begin with a revision of 20 digits, which is never so large that the first is not 0. Those of kind
  # final begin with "final-" instead.
  snapshots_that_end = "${local.snapshots}0"

  snapshot_settings = merge(
    { snapshot_interval = "${var.snapshot_minutes}m" },
    local.own_bucket ? {
      snapshot_location   = "s3://${local.snapshot_bucket}/${local.prefix}"
      snapshot_kms_key_id = local.key_arns.snapshots
    } : {},
  )

  # Whether anybody waits for one.
  snapshot_alarm = var.snapshot_minutes > 0 ? 1 : 0
}

resource "aws_s3_bucket" "snapshots" {
  # checkov:skip=CKV_AWS_18:who called is in CloudTrail's data events; a third bucket of logs would have to be guarded as well
  # checkov:skip=CKV_AWS_144:whoever wants copies in another Region or account adds a rule; each copy is as secret as the cluster
  # checkov:skip=CKV2_AWS_62:the alarm is told of new objects by EventBridge, where a bucket is chosen by its name
  count = local.own_bucket ? 1 : 0

  bucket              = var.snapshot_bucket
  force_destroy       = var.allow_destroy
  object_lock_enabled = true
}

resource "aws_s3_bucket_public_access_block" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Until its time has come nobody deletes a snapshot for good, but who may bypass that on purpose
# (s3:BypassGovernanceRetention).
resource "aws_s3_bucket_object_lock_configuration" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.snapshot_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.snapshots]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key_arns.snapshots
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  rule {
    id     = "snapshots"
    status = "Enabled"

    filter {
      prefix = local.snapshots_that_end
    }

    expiration {
      days = var.snapshot_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  # For those of kind final as well: parts of an upload that nobody could abort, and what was deleted.
  rule {
    id     = "snapshots-leftovers"
    status = "Enabled"

    # Nothing else is in this bucket.
    filter {}

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.snapshots]
}

resource "aws_s3_bucket_policy" "snapshots" {
  count  = local.own_bucket ? 1 : 0
  bucket = aws_s3_bucket.snapshots[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.snapshots_arn, "${local.snapshots_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # What makes an object: an upload in parts takes the condition only when it is completed.
        Sid       = "NobodyOverwrites"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.snapshots_arn}/*"
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        # A forged snapshot, once restored, would be the cluster.
        Sid       = "OnlyTheMachinesWrite"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.snapshots_arn}/*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = aws_iam_role.machine.arn } }
      },
      {
        Sid       = "TheMachinesDeleteNothing"
        Effect    = "Deny"
        Principal = { AWS = aws_iam_role.machine.arn }
        Action    = ["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = "${local.snapshots_arn}/*"
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.snapshots]
}

# As the one for the CA keys: the account may manage this key but not use it.
resource "aws_kms_key" "snapshots" {
  count = local.own_bucket ? local.make_key.snapshots : 0

  description             = "Snapshots of etcd of ${var.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local.key_of_machines
}

# The alarm. S3 tells EventBridge of every new object, the manifests among them are logged, and the log group counts them.

# A bucket that was there before may have notifications of its own, and this would end them.
resource "aws_s3_bucket_notification" "snapshots" {
  count = local.own_bucket || var.create_bucket ? local.snapshot_alarm : 0

  bucket      = local.own_bucket ? aws_s3_bucket.snapshots[0].id : aws_s3_bucket.control_plane[0].id
  eventbridge = true
}

resource "aws_cloudwatch_event_rule" "snapshots" {
  count = local.snapshot_alarm

  name        = "${local.name}-snapshots"
  description = "Snapshots of etcd of ${var.cluster_name} that were saved"

  event_pattern = jsonencode({
    source        = ["aws.s3"]
    "detail-type" = ["Object Created"]
    detail = {
      bucket = { name = [local.snapshot_bucket] }
      object = { key = [{ wildcard = "${local.snapshots}*.json" }] }
    }
  })
}

resource "aws_cloudwatch_log_group" "snapshots" {
  # checkov:skip=CKV_AWS_158:names of objects, and nothing of what is in them
  # checkov:skip=CKV_AWS_338:it serves an alarm of minutes; the snapshots themselves are the record
  count = local.snapshot_alarm

  # EventBridge writes to groups of such names only.
  name              = "/aws/events/${local.name}-snapshots"
  retention_in_days = 30
}

resource "aws_cloudwatch_log_resource_policy" "snapshots" {
  count = local.snapshot_alarm

  policy_name = "${local.name}-snapshots"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.snapshots[0].arn}:*"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_cloudwatch_event_target" "snapshots" {
  count = local.snapshot_alarm

  rule = aws_cloudwatch_event_rule.snapshots[0].name
  arn  = aws_cloudwatch_log_group.snapshots[0].arn

  depends_on = [aws_cloudwatch_log_resource_policy.snapshots]
}

# Nothing for three intervals. Where nothing comes there is no data either, so that missing data breaches: also while the
# cluster hibernates, which nothing here can tell from agents that do not run.
resource "aws_cloudwatch_metric_alarm" "snapshots" {
  count = local.snapshot_alarm

  alarm_name          = "${local.name}-snapshots"
  alarm_description   = "No snapshot of etcd of ${var.cluster_name} was saved: kubeboot status on a machine says why. While the cluster hibernates nothing is saved, and this alarm stands."
  namespace           = "AWS/Logs"
  metric_name         = "IncomingLogEvents"
  dimensions          = { LogGroupName = aws_cloudwatch_log_group.snapshots[0].name }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60 * var.snapshot_minutes
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

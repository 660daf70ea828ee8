# The bucket holds the cluster record, the one truth about which cluster there is. Losing or forging the record is
# worse than losing a machine, so everything here keeps it from being deleted, overwritten blindly, or read in clear.

resource "aws_s3_bucket" "control_plane" {
  # checkov:skip=CKV_AWS_18:who called is in CloudTrail's data events; a second bucket of logs would have to be guarded as well
  # checkov:skip=CKV_AWS_144:a copy in another Region would be a second record, and two records are two clusters
  # checkov:skip=CKV2_AWS_62:nobody waits for events: machines read the record itself
  count = local.make_bucket

  bucket        = var.bucket
  force_destroy = var.allow_destroy
}

resource "aws_s3_bucket_public_access_block" "control_plane" {
  count = local.make_bucket

  bucket = aws_s3_bucket.control_plane[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "control_plane" {
  count = local.make_bucket

  bucket = aws_s3_bucket.control_plane[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# Earlier versions of the record say what happened, and mend a mistake.
resource "aws_s3_bucket_versioning" "control_plane" {
  count = local.make_bucket

  bucket = aws_s3_bucket.control_plane[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

# For 15 minutes after versioning is enabled S3 may not show objects that were just written, and its guide asks to write
# none before. The first machine writes the record, and everybody trusts what S3 says of it. So that is waited for, once.
resource "terraform_data" "versioning_settled" {
  count = local.make_bucket

  triggers_replace = aws_s3_bucket_versioning.control_plane[0].id

  provisioner "local-exec" {
    command = "sleep 900"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "control_plane" {
  count = local.make_bucket

  bucket = aws_s3_bucket.control_plane[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key_arns.bucket
    }
  }
}

# Only earlier versions end, and only of what is rewritten all the time; and the registrations of machines that are gone,
# which nobody reads any more. No rule's prefix reaches the cluster record or the bundles of CA keys: a deleted fence is
# an open fence. And none ends a registration that is not in control-plane/former/: those prove that there is a cluster.
resource "aws_s3_bucket_lifecycle_configuration" "control_plane" {
  # checkov:skip=CKV_AWS_300:each rule does this; it looks for one without a prefix, and that one would reach the record
  count = local.make_bucket

  bucket = aws_s3_bucket.control_plane[0].id

  dynamic "rule" {
    for_each = {
      registrations = "${local.prefix}/control-plane/nodes/"
      lease         = "${local.prefix}/control-plane/membership-lease.json"
      join          = "${local.prefix}/join/"
    }

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      noncurrent_version_expiration {
        noncurrent_days = 30
      }

      expiration {
        expired_object_delete_marker = true
      }

      abort_incomplete_multipart_upload {
        days_after_initiation = 1
      }
    }
  }

  rule {
    id     = "former"
    status = "Enabled"

    filter {
      prefix = "${local.prefix}/control-plane/former/"
    }

    expiration {
      days = 90
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  # Those of etcd's snapshots that are here: with a bucket of their own there are none. The final ones never end by age.
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

  # For the final ones as well: parts of an upload that nobody could abort, and what was deleted.
  rule {
    id     = "snapshots-leftovers"
    status = "Enabled"

    filter {
      prefix = local.snapshots
    }

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

  # Expiration leaves delete markers, and a rule that ends them cannot say how many days objects live.
  rule {
    id     = "former-markers"
    status = "Enabled"

    filter {
      prefix = "${local.prefix}/control-plane/former/"
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.control_plane]
}

resource "aws_s3_bucket_policy" "control_plane" {
  count = local.make_bucket

  bucket = aws_s3_bucket.control_plane[0].id
  policy = local.bucket_policy

  depends_on = [aws_s3_bucket_public_access_block.control_plane]
}

locals {
  # One that is there stays as it is, whoever has it. Its policy has to say the same: the output bucket_policy.
  make_bucket = var.create_bucket ? 1 : 0
  bucket_arn  = "arn:${local.partition}:s3:::${var.bucket}"

  bucket_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # Without the record every machine would be free to initialise again; without its bundle nobody could join.
        Sid       = "NobodyDeletesRecordOrBundles"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource = [
          "${local.bucket_arn}/${local.record_key}",
          "${local.bucket_arn}/${local.prefix}/control-plane/pki/*",
        ]
      },
      {
        # A write without a condition cannot lose a race, so it could make a second cluster.
        Sid       = "RecordUnderConditionOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${local.prefix}/control-plane/*"
        Condition = { Null = { "s3:if-match" = "true", "s3:if-none-match" = "true" } }
      },
      {
        # Whoever reads a bundle owns the cluster. Their key says no as well; two locks, because there is one bundle.
        Sid       = "OnlyTheMachinesReadBundles"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource  = "${local.bucket_arn}/${local.prefix}/control-plane/pki/*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = aws_iam_role.machine.arn } }
      },
      {
        # A bundle is written once, under the key that only the machines may use.
        Sid       = "BundlesAreNotReplaced"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${local.prefix}/control-plane/pki/*"
        Condition = { Null = { "s3:if-none-match" = "true" } }
      },
      {
        Sid       = "BundlesUnderTheirKeyOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${local.prefix}/control-plane/pki/*"
        Condition = {
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = local.key_arns.pki }
        }
      },
      {
        # Workers will trust what is below join/, so that nobody else may write there, either. (An operator who retires a
        # cluster writes the record, the registrations, the hash and what is below join/ from elsewhere, because then all its
        # machines are gone.)
        Sid       = "OnlyMachinesAndOperatorsWrite"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${local.prefix}/*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = concat([aws_iam_role.machine.arn], var.operator_role_arns) } }
      },
      {
        # As in a bucket of the snapshots' own: an upload in parts takes the condition only when it is completed.
        Sid       = "NobodyOverwritesSnapshots"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${local.snapshots}*"
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        # A forged snapshot, once restored, would be the cluster.
        Sid       = "OnlyTheMachinesWriteSnapshots"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${local.snapshots}*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = aws_iam_role.machine.arn } }
      },
      {
        Sid       = "TheMachinesDeleteNoSnapshot"
        Effect    = "Deny"
        Principal = { AWS = aws_iam_role.machine.arn }
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = "${local.bucket_arn}/${local.snapshots}*"
      },
    ]
  })
}

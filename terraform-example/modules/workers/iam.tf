# What a worker may do. The project's tests have workers join and go with exactly these policies, and try what is not in them.

resource "aws_iam_role" "machine" {
  name = var.name

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
        Resource = "arn:${local.partition}:s3:::${var.bucket}/${var.prefix}/join/*"
      },
      {
        Sid       = "UseTheBucketsKey"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.bucket_key_arn
        Condition = { StringEquals = { "kms:ViaService" = var.s3_service } }
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
        Resource = "arn:${local.partition}:autoscaling:${var.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${var.name}"
      },
    ]
  })
}

# For the setting source_dest_check, and for the machine itself alone: the session by which an instance has its role is
# named by its ID.
resource "aws_iam_role_policy" "source_dest_check" {
  count = lookup(var.settings, "source_dest_check", "") == "off" ? 1 : 0

  name = "source-dest-check"
  role = aws_iam_role.machine.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["ec2:DescribeInstanceAttribute", "ec2:ModifyInstanceAttribute"]
      Resource  = "arn:${local.partition}:ec2:${var.region}:${local.account}:instance/*"
      Condition = { StringLike = { "aws:userid" = "*:$${ec2:InstanceID}" } }
    }]
  })
}

resource "aws_iam_role_policy" "more" {
  for_each = var.policies

  name   = each.key
  role   = aws_iam_role.machine.name
  policy = each.value
}

resource "aws_iam_role_policy_attachment" "additional" {
  for_each = toset(var.additional_policy_arns)

  role       = aws_iam_role.machine.name
  policy_arn = each.value
}

# What is planned, by Terraform itself and without AWS: `terraform init` and `terraform test` in the module's folder.

mock_provider "aws" {
  source = "./tests/aws"
}

override_data {
  target = data.aws_subnet.control_plane[1]
  values = {
    vpc_id            = "vpc-0a1b2c3d4e5f60000"
    availability_zone = "eu-central-1b"
  }
}

override_data {
  target = data.aws_subnet.control_plane[2]
  values = {
    vpc_id            = "vpc-0a1b2c3d4e5f60000"
    availability_zone = "eu-central-1c"
  }
}

variables {
  cluster_name = "demo"
  bucket       = "kubeboot-demo"
  vpc_id       = "vpc-0a1b2c3d4e5f60000"
  subnet_ids   = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002", "subnet-0a1b2c3d4e5f60003"]
  ami_id       = "ami-0123456789abcdef0"
}

run "what_must_hold_of_the_group" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.control_plane.min_size == 3 && aws_autoscaling_group.control_plane.max_size == 3
    error_message = "The number of voters is a decision, and not elastic."
  }

  assert {
    condition     = aws_autoscaling_group.control_plane.wait_for_capacity_timeout == "0"
    error_message = "A group that waits itself, and in vain, is marked as tainted."
  }

  assert {
    condition     = aws_autoscaling_group.control_plane.health_check_type == "EC2"
    error_message = "When etcd loses its quorum, a load balancer's health check would end the survivors."
  }

  assert {
    condition     = length(aws_autoscaling_group.control_plane.instance_refresh) == 0
    error_message = "No apply begins or cancels a refresh, unless that is wanted."
  }

  assert {
    condition     = aws_autoscaling_lifecycle_hook.launch.default_result == "ABANDON" && aws_autoscaling_lifecycle_hook.leave[0].default_result == "ABANDON"
    error_message = "Neither hook lets anything go on by itself."
  }
}

run "a_bucket_and_keys_that_are_there" {
  command = plan

  variables {
    create_bucket = false
    kms_key_arns = {
      bucket  = "arn:aws:kms:eu-central-1:123456789012:key/1"
      volumes = "arn:aws:kms:eu-central-1:123456789012:key/2"
    }
  }

  assert {
    condition     = length(aws_s3_bucket.control_plane) == 0 && length(aws_s3_bucket_policy.control_plane) == 0
    error_message = "A bucket that is there stays as it is."
  }

  assert {
    condition     = length(aws_kms_key.bucket) == 0 && length(aws_kms_key.volumes) == 0 && length(aws_kms_key.pki) == 1
    error_message = "What is not named is made, and nothing else."
  }

  assert {
    condition     = output.bucket == "kubeboot-demo" && output.volumes_kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/2"
    error_message = "Others build on what there is."
  }
}

run "an_endpoint_of_your_own" {
  command = plan

  variables {
    create_load_balancer = false
    cluster_endpoint     = "api.example.com:443"
    allowed_cidr_blocks  = ["10.0.0.0/16"]
  }

  assert {
    condition     = length(aws_lb.endpoint) == 0 && length(aws_route53_zone.private) == 0 && length(aws_route53_record.api) == 0
    error_message = "The name and what stands behind it are yours."
  }

  assert {
    condition     = output.cluster_endpoint == "https://api.example.com:443" && output.load_balancer_arn == null
    error_message = "The endpoint is the one that is named."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.to_your_endpoint["10.0.0.0/16"].to_port == 443
    error_message = "The machines reach the endpoint at its own port."
  }
}

run "a_zone_that_is_there" {
  command = plan

  variables {
    create_zone = false
    zone_id     = "Z1"
    zone_name   = "k8s.example.com"
  }

  assert {
    condition     = length(aws_route53_zone.private) == 0 && aws_route53_record.api[0].zone_id == "Z1"
    error_message = "The record is made in the zone that is there."
  }
}

run "two_machines_in_one_zone" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002", "subnet-0a1b2c3d4e5f60004"]
  }

  override_data {
    target = data.aws_subnet.control_plane[2]
    values = {
      vpc_id            = "vpc-0a1b2c3d4e5f60000"
      availability_zone = "eu-central-1a"
    }
  }

  expect_failures = [aws_autoscaling_group.control_plane]
}

run "an_encrypted_image_is_said" {
  command = plan

  override_data {
    target = data.aws_ami.machine
    values = {
      architecture     = "x86_64"
      root_device_name = "/dev/xvda"
      block_device_mappings = [
        {
          device_name = "/dev/xvda"
          ebs = {
            encrypted   = "true"
            snapshot_id = "snap-1"
            volume_size = "30"
          }
        },
      ]
    }
  }

  expect_failures = [check.image_key]
}

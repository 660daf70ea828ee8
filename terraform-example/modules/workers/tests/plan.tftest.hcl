# What is planned for a group of workers, by Terraform itself and without AWS: `terraform init` and `terraform test` in the
# module's folder.

mock_provider "aws" {
  source = "../control-plane/tests/aws"
}

variables {
  name               = "demo-workers"
  cluster_name       = "demo"
  bucket             = "kubeboot-demo"
  bucket_kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
  security_group_ids = ["sg-0a1b"]
  subnet_ids         = ["subnet-0a1b2c3d4e5f60001"]
  ami_id             = "ami-0123456789abcdef0"
}

run "on_demand" {
  command = plan

  assert {
    condition     = length(aws_autoscaling_group.workers.mixed_instances_policy) == 0 && length(aws_autoscaling_group.workers.launch_template) == 1
    error_message = "One type on demand is launched from the launch template alone."
  }

  assert {
    condition     = aws_autoscaling_lifecycle_hook.come.default_result == "ABANDON" && aws_autoscaling_lifecycle_hook.go.default_result == "ABANDON"
    error_message = "A machine that never joined must not count as one."
  }
}

run "spot" {
  command = plan

  variables {
    instance_types  = ["m6i.large", "m5.large"]
    spot_percentage = 80
  }

  assert {
    condition     = aws_autoscaling_group.workers.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 20
    error_message = "The rest is on demand."
  }

  assert {
    condition     = aws_autoscaling_group.workers.capacity_rebalance
    error_message = "A new machine comes before one that EC2 wants back."
  }
}

run "a_warm_pool_of_spot_instances" {
  command = plan

  variables {
    warm_pool       = "Stopped"
    spot_percentage = 80
  }

  expect_failures = [aws_launch_template.machine]
}

run "more_at_least_than_at_most" {
  command = plan

  variables {
    min_size = 4
  }

  expect_failures = [var.max_size]
}

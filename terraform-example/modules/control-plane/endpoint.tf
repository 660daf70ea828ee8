# The one name under which the API servers are found, in front of a network load balancer.

# Without create_load_balancer the name and what stands behind it are yours.

locals {
  make_load_balancer = var.create_load_balancer ? 1 : 0
  make_zone          = var.create_load_balancer && var.create_zone ? 1 : 0

  zone_name = coalesce(var.zone_name, "${var.cluster_name}.internal")
  zone_id   = var.create_zone ? one(aws_route53_zone.private[*].zone_id) : var.zone_id
  name_here = "api.${local.zone_name}"

  endpoint      = var.create_load_balancer ? "${local.name_here}:${local.port}" : var.cluster_endpoint
  host          = split(":", local.endpoint)[0]
  endpoint_port = tonumber(split(":", local.endpoint)[1])
}

resource "aws_lb" "endpoint" {
  # checkov:skip=CKV_AWS_150:it is protected until the operator says allow_destroy
  # checkov:skip=CKV_AWS_91:network load balancers log TLS listeners only, and this one hands TLS through
  count = local.make_load_balancer

  name               = local.name
  internal           = true
  load_balancer_type = "network"
  subnets            = var.subnet_ids
  security_groups    = aws_security_group.endpoint[*].id

  # A zone whose machine is just being replaced still has an endpoint.
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = !var.allow_destroy
}

resource "aws_lb_target_group" "api" {
  count = local.make_load_balancer

  name     = local.name
  vpc_id   = var.vpc_id
  protocol = "TCP"
  port     = local.port

  # With the client's address preserved a machine cannot reach itself through the load balancer, and every machine is a
  # client of its own API server.
  preserve_client_ip = "false"

  # Terminating waits for this; API clients reconnect at once.
  deregistration_delay = 30

  # What a client needs to know, and more than an open port: an API server without a quorum of etcd answers 500. One that
  # answers nobody without credentials says 401, whoever asks and however it is: then the open port is all there is.
  health_check {
    protocol            = var.health_check == "tcp" ? "TCP" : "HTTPS"
    path                = var.health_check == "tcp" ? null : "/readyz"
    matcher             = var.health_check == "tcp" ? null : "200"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "api" {
  count = local.make_load_balancer

  load_balancer_arn = aws_lb.endpoint[0].arn
  protocol          = "TCP"
  port              = local.port

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api[0].arn
  }
}

resource "aws_route53_zone" "private" {
  # checkov:skip=CKV2_AWS_38:DNSSEC is for public zones
  # checkov:skip=CKV2_AWS_39:query logging is for public zones
  count = local.make_zone

  name = local.zone_name

  vpc {
    vpc_id = var.vpc_id
  }
}

resource "aws_route53_record" "api" {
  count = local.make_load_balancer

  zone_id = local.zone_id
  name    = local.name_here
  type    = "A"

  alias {
    name    = aws_lb.endpoint[0].dns_name
    zone_id = aws_lb.endpoint[0].zone_id
    # A second opinion on the targets' health would take the name away with the last of them.
    evaluate_target_health = false
  }
}

"""The emulated world: AWS, machines and a load balancer on one computer, for the demo and the tests."""

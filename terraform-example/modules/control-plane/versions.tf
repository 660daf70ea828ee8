terraform {
  # 1.9: a validation may look at other variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The oldest version whose arguments the project's tests compare with.
      version = ">= 6.66"
    }
  }
}

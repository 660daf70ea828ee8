# `tflint --init` and `tflint --recursive` in this folder. The tests look at what they can without it: every name against the
# provider's schema, formatting, unused declarations.

config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "recommended"
}

plugin "aws" {
  enabled = true
  version = "0.50.0"
  source  = "github.com/terraform-linters/tflint-ruleset-aws"
}

rule "terraform_documented_outputs" {
  enabled = true
}

rule "terraform_documented_variables" {
  enabled = true
}

rule "terraform_naming_convention" {
  enabled = true
}

# The pair variables.tf, outputs.tf and main.tf is not all: the files of the control plane are named by what they are about.
rule "terraform_standard_module_structure" {
  enabled = false
}

"""What runs containers and is no document of Kubernetes: commands, quadlets, Nomad, Bicep, Ansible."""

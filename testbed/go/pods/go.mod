module certwright.io/testbed/pods

go 1.26

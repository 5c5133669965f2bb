module certwright.io/testbed/monitoring

go 1.26.0

// For its CRDs alone: nothing is built from it.
require github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect

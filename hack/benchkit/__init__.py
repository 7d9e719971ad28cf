"""Measures what a tenant costs against direct use of the host, on the lab. `hack/bench --help` lists what."""

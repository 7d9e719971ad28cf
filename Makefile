.PHONY: test soak verify demo clean

test: ## everything: hack/verify, then the e2e suite on the lab
	@hack/test

soak: ## the long forms of the fault and stream tests, and the whole bench
	@hack/test --soak

verify: ## format, lint, types, layers, and every test that needs no cluster
	@hack/verify

demo: ## bring the lab up and show it working
	@hack/demo

clean: ## remove every lab and the virtual environment; the build cache stays
	@hack/lab down --all
	@rm -rf .venv

"""The one door to the network: credentials, requests and answers as pure functions, and the bytes between."""

module github.com/signgate/signgate/test/hsmbench

go 1.26.0

replace github.com/signgate/signgate => ../..

require (
	github.com/ThalesGroup/crypto11 v1.5.0
	github.com/miekg/pkcs11 v1.1.2
	github.com/signgate/signgate v0.0.0-00010101000000-000000000000
)

require (
	filippo.io/mldsa v1.0.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/thales-e-security/pool v0.0.2 // indirect
)

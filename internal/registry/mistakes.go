package registry

import "strings"

// A habit is what usually is wrong when a registry denies something.
type habit struct {
	host       string // the registry, or with a leading dot the end of its name
	read, push string
}

// habits returns the registries that have their own.
func habits() []habit {
	return []habit{
		{
			"ghcr.io",
			"give the job `permissions: packages: read`, or let this repository read the package under \"Manage Actions access\" in the package's settings",
			"give the job `permissions: packages: write`, and give this repository the role Write under \"Manage Actions access\" in the package's settings when the package was first pushed from elsewhere",
		},
		{
			".amazonaws.com",
			"allow the role ecr:GetAuthorizationToken on *, and ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository; check the account and the region in the name",
			"allow the role ecr:GetAuthorizationToken on *, and ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, ecr:BatchCheckLayerAvailability, ecr:BatchGetImage and ecr:PutImage on the repository; ECR does not make a repository by itself",
		},
		{
			".azurecr.io",
			"give the identity the role AcrPull on the registry and set AZURE_TENANT_ID and AZURE_CLIENT_ID in the env of this step: azure/login leaves nothing that a container could use",
			"give the identity the role AcrPush on the registry and set AZURE_TENANT_ID and AZURE_CLIENT_ID in the env of this step: azure/login leaves nothing that a container could use",
		},
		{
			".pkg.dev",
			"give the account roles/artifactregistry.reader on the repository, and run google-github-actions/auth after actions/checkout so that its file is in the workspace",
			"give the account roles/artifactregistry.writer on the repository, which has to exist, and run google-github-actions/auth after actions/checkout so that its file is in the workspace",
		},
		{
			"docker.io",
			"set registry-username and registry-password to a Docker Hub user and an access token with the right Read; an image without a user name is docker.io/library/…",
			"set registry-username and registry-password to a Docker Hub user and an access token with the rights Read & Write; your repositories are docker.io/<user>/<name>",
		},
	}
}

// mistake returns the next step after a registry has denied something: the
// usual one for that registry.
func mistake(host string, push bool) string {
	for _, h := range habits() {
		if host != h.host && !(h.host[0] == '.' && strings.HasSuffix(host, h.host)) {
			continue
		}
		if push {
			return h.push
		}
		return h.read
	}
	return "give credentials that may " + right(push) + " this repository: log in before this step, or set registry-username and registry-password"
}

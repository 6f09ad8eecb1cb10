package api

import (
	"net/http"
	"slices"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/observe/meter"
	"naru/internal/pipeline/rollout"
)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes is every route there is: method, path, what it takes to be allowed to,
// what it does, who answers. The permission counts in the place that the path
// names.
func (s *server) routes() []Route {
	const (
		org   = "/v1/orgs/{org}"
		space = org + "/spaces/{space}"
		src   = space + "/source"
		apps  = space + "/apps"
		one   = apps + "/{app}"
		op    = "/v1/operations/{operation}"
		found = "/v1/foundations/{foundation}"
	)
	return append(slices.Concat(s.alertRoutes(space, one), s.traceRoutes(space, one), s.quotaRoutes(org, space), s.buildpackRoutes(), s.featureRoutes(), s.labelRoutes(org, space, one)), []Route{
		{get, "/v1/info", public, "What this server is and where its parts are", call(s.info)},
		{get, "/v1/healthz", public, "Whether the server answers", call(s.healthz)},
		{get, "/metrics", auth.PlatformRead, "What the gateways counted, in Prometheus's text format: of the apps one may see, and for administrators of the gateways themselves", streams(meter.ContentType, nil, s.metrics)},
		{get, "/v1/readyz", public, "Whether every part is ready; 503 until then", ready(s.readyz)},

		{post, "/v1/auth/login", public, "Exchange a name and a password for tokens", call(s.login)},
		{post, "/v1/auth/redeem", public, "Exchange a one-time code for tokens", call(s.redeem)},
		{post, "/v1/auth/refresh", public, "Exchange a refresh token for new tokens", call(s.refresh)},
		{post, "/v1/auth/logout", loggedIn, "End the session of the token", done(s.logout)},
		{get, "/v1/me", loggedIn, "Who the token belongs to", call(s.me)},
		{put, "/v1/me/password", loggedIn, "Change one's own password", done(s.changePassword)},
		{get, "/v1/me/tokens", loggedIn, "List one's own API tokens", call(s.listTokens)},
		{post, "/v1/me/tokens", loggedIn, "Make an API token", unrepeated(create(s.createToken))},
		{remove, "/v1/me/tokens/{token}", loggedIn, "End an API token", done(s.deleteToken)},

		{get, "/v1/users", auth.PlatformAudit, "List users", call(s.listUsers)},
		{post, "/v1/users", auth.UserManage, "Make a user", create(s.createUser)},
		{remove, "/v1/users/{user}", auth.UserManage, "Delete a user", done(s.deleteUser)},
		{put, "/v1/users/{user}/password", auth.UserManage, "Give a user another password", done(s.setPassword)},
		{get, "/v1/grants", auth.PlatformAudit, "List roles on the platform", call(s.listGrants)},
		{put, "/v1/grants/{role}/{user}", auth.UserManage, "Give a role on the platform", done(s.giveRole)},
		{remove, "/v1/grants/{role}/{user}", auth.UserManage, "Take a role on the platform", done(s.takeRole)},

		{get, "/v1/orgs", loggedIn, "List the organisations one may see", call(s.listOrgs)},
		{post, "/v1/orgs", auth.OrgCreate, "Make an organisation", create(s.createOrg)},
		{get, org, auth.OrgRead, "Get an organisation", call(s.getOrg)},
		{post, org + "/rename", auth.OrgManage, "Give an organisation without apps another name", call(s.renameOrg)},
		{remove, org, auth.OrgDelete, "Delete an organisation without spaces", done(s.deleteOrg)},
		{get, org + "/dora", auth.OrgRead, "How often and how well the apps of an organisation are delivered, of the spaces one may see", call(s.orgDora)},
		{get, org + "/grants", auth.OrgAudit, "List roles in an organisation", call(s.listGrants)},
		{put, org + "/grants/{role}/{user}", auth.OrgManage, "Give a role in an organisation", done(s.giveRole)},
		{remove, org + "/grants/{role}/{user}", auth.OrgManage, "Take a role in an organisation", done(s.takeRole)},

		{get, org + "/spaces", auth.OrgRead, "List the spaces one may see", call(s.listSpaces)},
		{post, org + "/spaces", auth.OrgManage, "Make a space", create(s.createSpace)},
		{get, space, auth.SpaceRead, "Get a space", call(s.getSpace)},
		{patch, space, auth.SpaceManage, "Change what a space allows", call(s.changeSpace)},
		{post, space + "/rename", auth.SpaceManage, "Give a space without apps another name", call(s.renameSpace)},
		{remove, space, auth.OrgManage, "Delete a space without apps", done(s.deleteSpace)},
		{get, space + "/grants", auth.SpaceAudit, "List roles in a space", call(s.listGrants)},
		{put, space + "/grants/{role}/{user}", auth.SpaceManage, "Give a role in a space", done(s.giveRole)},
		{remove, space + "/grants/{role}/{user}", auth.SpaceManage, "Take a role in a space", done(s.takeRole)},
		{get, space + "/events", auth.SpaceRead, "What happened in a space, newest first", call(s.listEvents)},
		{get, space + "/operations", auth.SpaceRead, "Long work in a space, newest first", call(s.listOperations)},
		{get, space + "/routes", auth.SpaceRead, "List the routes of a space", call(s.listRoutes)},
		{get, space + "/routes/{route}", auth.SpaceRead, "Get a route with what it asks of the gateway", call(s.getRoute)},
		{patch, space + "/routes/{route}", auth.RouteWrite, "Change what a route asks of the gateway, with a merge patch", call(s.changeRoute)},
		{get, space + "/slo", auth.SpaceRead, "How far the objectives of all apps of a space are met", call(s.sloOfSpace)},
		{get, space + "/policy", auth.SpaceRead, "At which remaining error budget what may be changed, and where the apps stand", call(s.getPolicy)},
		{get, space + "/dora", auth.SpaceRead, "How often and how well the apps of a space are delivered", call(s.spaceDora)},
		{put, space + "/policy", auth.SpaceManage, "Give a space an error-budget policy of its own", call(s.setPolicy)},
		{remove, space + "/policy", auth.SpaceManage, "Give a space the standard policy back", done(s.clearPolicy)},
		{get, space + "/certificates", auth.SpaceRead, "List what hosts are served with over TLS", call(s.listCertificates)},
		{put, space + "/certificates/{host}", auth.RouteWrite, "Check and keep a certificate with its key", unrepeated(call(s.setCertificate))},
		{remove, space + "/certificates/{host}", auth.RouteWrite, "Forget a certificate", done(s.deleteCertificate)},
		{get, space + "/drains", auth.LogRead, "List where logs are passed on to, and how that goes", call(s.listDrains)},
		{post, space + "/drains", auth.AppWrite, "Pass on the log of an app, or of all apps of the space", unrepeated(create(s.addDrain))},
		{remove, space + "/drains/{drain}", auth.AppWrite, "Forget a log drain", done(s.deleteDrain)},
		{post, space + "/drains/{drain}/test", auth.AppWrite, "Send one line to the receiver of a log drain", call(s.testDrain)},
		{get, space + "/domains/{host}", auth.RouteWrite, "What proves that a host is the space's, and what DNS has of it", call(s.getDomain)},
		{get, space + "/services", auth.SpaceRead, "List services, or those of an app", call(s.listServices)},
		{post, space + "/services", auth.AppWrite, "Make a service of credentials that somebody provides", unrepeated(create(s.createService))},
		{get, space + "/services/{service}", auth.SpaceRead, "Show a service, and the apps it is bound to", call(s.getService)},
		{patch, space + "/services/{service}", auth.AppWrite, "Change a service", unrepeated(call(s.changeService))},
		{remove, space + "/services/{service}", auth.AppWrite, "Forget a service that is bound to no app", done(s.deleteService)},
		{get, space + "/services/{service}/credentials", auth.CredentialRead, "Show what a service holds, in clear", call(s.getCredentials)},
		{post, one + "/bindings", auth.AppConfigure, "Bind a service to an app", create(s.bindService)},
		{remove, one + "/bindings/{service}", auth.AppConfigure, "Unbind a service", done(s.unbindService)},
		{get, "/v1/variables/{group}", auth.PlatformRead, "Show the variables that all apps get", call(s.getVariables)},
		{patch, "/v1/variables/{group}", auth.PlatformManage, "Change the variables that all apps get", unrepeated(call(s.setVariables))},

		{get, space + "/credentials", auth.CredentialWrite, "List the hosts with credentials", call(s.listCredentials)},
		{put, space + "/credentials/{host}", auth.CredentialWrite, "Try and keep a credential", call(s.setCredential)},
		{remove, space + "/credentials/{host}", auth.CredentialWrite, "Forget a credential", done(s.deleteCredential)},

		{post, src + "/missing", auth.SourceWrite, "Which contents the space lacks", large(call(s.missing))},
		{post, src + "/contents", auth.SourceWrite, "Upload contents as a tar of files named by their sha256", uploads(call(s.receive), client.Tar)},
		{post, src + "/snapshots", auth.SourceWrite, "Freeze a tree whose contents were uploaded", large(create(s.freeze))},
		{get, src + "/snapshots/{snapshot}", auth.SourceWrite, "Get a snapshot", call(s.getSnapshot)},
		{post, src + "/archives", auth.SourceWrite, "Upload a tree as an archive and freeze it", uploads(create(s.unpack), client.TarGz, client.Tar, client.Zip)},
		{post, space + "/plans", auth.AppWrite, "What a push would build", call(s.plan)},
		{post, space + "/pushes/check", auth.AppWrite, "Whether a push would be taken, before anything is sent for it", call(s.checkPush)},
		{post, space + "/pushes", auth.AppWrite, "Bring source or an image to a URL", accept(s.push)},

		{get, apps, auth.SpaceRead, "List apps", call(s.listApps)},
		{post, apps, auth.AppWrite, "Make an app without source", create(s.createApp)},
		{get, one, auth.SpaceRead, "Get an app with its groups, instances and routes", call(s.getApp)},
		{patch, one, auth.AppConfigure, "Change an app's draft", call(s.changeApp)},
		{post, one + "/rename", auth.AppWrite, "Give an app another name; its host stays", call(s.renameApp)},
		{remove, one, auth.AppWrite, "Delete an app and everything of it", accept(s.deleteApp)},
		{get, one + "/env", auth.EnvRead, "The environment of the draft; secrets are stars", call(s.getEnv)},
		{patch, one + "/env", auth.AppConfigure, "Change the environment", call(s.changeEnv)},
		{post, one + "/start", auth.AppOperate, "Start an app", accept(s.start)},
		{post, one + "/stop", auth.AppOperate, "Stop an app", accept(s.stop)},
		{post, one + "/restart", auth.AppOperate, "Restart an app with its draft", accept(s.restart)},
		{post, one + "/scale", auth.AppOperate, "Change the number of instances", accept(s.scale)},
		{post, one + "/rollback", auth.AppConfigure, "Go back to a release", accept(s.rollback)},
		{get, one + "/releases", auth.SpaceRead, "List releases, newest first", call(s.listReleases)},
		{get, one + "/releases/{release}", auth.SpaceRead, "Get a release", call(s.getRelease)},
		{get, one + "/groups", auth.SpaceRead, "List server groups with their traffic, youngest first", call(s.listGroups)},
		{post, one + "/groups", auth.AppWrite, "Make a server group without traffic", accept(s.createGroup)},
		{post, one + "/groups/{group}/enable", auth.AppOperate, "Let a server group take traffic", accept(s.enableGroup)},
		{post, one + "/groups/{group}/disable", auth.AppOperate, "Take a server group's traffic away", accept(s.disableGroup)},
		{post, one + "/groups/{group}/resize", auth.AppOperate, "Change the instances of a server group", accept(s.resizeGroup)},
		{post, one + "/groups/{group}/clone", auth.AppOperate, "Make a server group like another, without traffic", accept(s.cloneGroup)},
		{post, one + "/groups/{group}/destroy", auth.AppWrite, "Remove a server group", accept(s.destroyGroup)},
		{get, one + "/rollouts", auth.SpaceRead, "List rollouts, newest first", call(s.listRollouts)},
		{get, one + "/rollouts/{rollout}", auth.SpaceRead, "Get a rollout", call(s.getRollout)},
		{get, one + "/rollouts/{rollout}/verdicts", auth.SpaceRead, "What a judge said of a rollout's steps, with the reasons", call(s.listVerdicts)},
		{post, one + "/judge", auth.SpaceRead, "Judge two releases, or groups, over a time that is past", call(s.judge)},
		{post, one + "/rollouts/{rollout}/pause", auth.AppOperate, "Stay at the present step of a rollout", call(s.steer(rollout.Pause))},
		{post, one + "/rollouts/{rollout}/resume", auth.AppOperate, "Go on with a rollout", call(s.steer(rollout.Resume))},
		{post, one + "/rollouts/{rollout}/promote", auth.AppConfigure, "Skip the steps, or the watch, that are left", call(s.steer(rollout.Promote))},
		{post, one + "/rollouts/{rollout}/abort", auth.AppOperate, "Go back; on the way back: stop there", call(s.steer(rollout.Abort))},
		{put, one + "/override", auth.SpaceManage, "Let an app's changes pass though its error budget forbids it, for some time", call(s.overrideBudget)},
		{remove, one + "/override", auth.SpaceManage, "End an override of the error budget", done(s.endOverride)},
		{get, one + "/why", auth.SpaceRead, "Why an app is in the state it is in", call(s.why)},
		{get, one + "/dora", auth.SpaceRead, "How often and how well an app is delivered", call(s.appDora)},
		{get, one + "/changes", auth.SpaceRead, "What was changed about an app, beside its errors and latency", call(s.changes)},
		{get, one + "/slo", auth.SpaceRead, "How far an app's objectives are met, and what is left of their error budgets", call(s.slo)},
		{get, one + "/objectives", auth.SpaceRead, "What an app promises, as it was declared", call(s.listObjectives)},
		{post, one + "/objectives", auth.AppConfigure, "Add objectives beside those of the manifest, or change those that were added", call(s.applyObjectives)},
		{remove, one + "/objectives/{objective}", auth.AppConfigure, "Forget an objective that is not of the manifest", done(s.deleteObjective)},
		{get, one + "/maintenance", auth.SpaceRead, "List announced maintenance", call(s.listMaintenance)},
		{post, one + "/maintenance", auth.AppOperate, "Announce maintenance, out of what is left of the error budgets", create(s.announceMaintenance)},
		{post, one + "/maintenance/{maintenance}/cancel", auth.AppOperate, "Call maintenance off, or end what is going on", call(s.cancelMaintenance)},
		{get, one + "/stats", auth.SpaceRead, "What the instances use now", call(s.stats)},
		{get, one + "/routes", auth.SpaceRead, "List the routes of an app", call(s.listAppRoutes)},
		{post, one + "/routes", auth.RouteWrite, "Map a route to an app", create(s.mapRoute)},
		{remove, one + "/routes/{route}", auth.RouteWrite, "Unmap a route from an app", done(s.unmapRoute)},
		{get, one + "/logs", auth.LogRead, "Lines of an app's log, followed and resumed", streams(ndjson, client.LogLine{}, s.followLogs)},
		{get, one + "/tasks", auth.SpaceRead, "List tasks, newest first", call(s.listTasks)},
		{post, one + "/tasks", auth.AppExec, "Run a one-off command", create(s.runTask)},
		{get, one + "/tasks/{task}", auth.SpaceRead, "Get a task", call(s.getTask)},
		{post, one + "/tasks/{task}/cancel", auth.AppOperate, "Stop a task", call(s.cancelTask)},
		{get, one + "/tasks/{task}/attach", auth.AppExec, "Attach to a task, which starts it", attaches(s.attachTask)},
		{get, one + "/exec", auth.AppExec, "Run a command inside an instance", attaches(s.exec)},

		{get, "/v1/operations", auth.PlatformAudit, "Long work everywhere, newest first", call(s.listOperations)},
		{get, op, auth.SpaceRead, "Get an operation", call(s.getOperation)},
		{post, op + "/cancel", auth.AppOperate, "Ask an operation to stop", call(s.cancelOperation)},
		{get, op + "/events", auth.SpaceRead, "What an operation reports, followed and resumed", streams(ndjson, client.Progress{}, s.followOperation)},

		{get, "/v1/builders", auth.PlatformRead, "List builders", call(s.builders)},
		{get, "/v1/foundations", auth.PlatformRead, "List foundations", call(s.listFoundations)},
		{post, "/v1/foundations", auth.FoundationBake, "Bake a foundation", accept(s.bake)},
		{get, found, auth.PlatformRead, "Get a foundation", call(s.getFoundation)},
		{get, found + "/lock", auth.PlatformRead, "The lock file of a foundation", streams[foundationPath]("application/json", nil, s.foundationLock)},
		{get, found + "/sbom", auth.PlatformRead, "What is in a foundation, as CycloneDX", streams[foundationPath]("application/vnd.cyclonedx+json", nil, s.foundationSBOM)},

		{get, "/v1/events", auth.PlatformAudit, "What happened everywhere, newest first", call(s.listEvents)},
		{get, "/v1/doctor", auth.PlatformAudit, "What is wrong with the platform", call(s.doctor)},
		{get, "/v1/backup", auth.PlatformManage, "A backup of the platform", streams("application/octet-stream", nil, s.backup)},
		{post, "/v1/key/rotate", auth.PlatformManage, "Seal all secrets with a new key", accept(s.rotateKey)},
		{post, "/v1/gc", auth.PlatformManage, "Remove images and source that nothing needs", accept(s.collectGarbage)},
	}...)
}

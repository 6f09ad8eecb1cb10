package doctor

// Checks lists every check, what else depends on first.
func Checks() []Check {
	return []Check{
		{Name: "root", Isolation: true, Run: checkRoot},
		{Name: "lock", Run: checkLock},
		{Name: "processes", Run: checkProcesses},
		{Name: "ports", Run: checkPorts},
		{Name: "disk", Run: checkDisk},
		{Name: "memory", Run: checkMemory},
		{Name: "clock", Run: checkClock},
		{Name: "key", Run: checkKey},
		{Name: "schema", Run: checkSchema},
		{Name: "dns", Run: checkDNS},
		{Name: "localhost", Run: checkLocalhost},
		{Name: "ca", Run: checkCA},
		{Name: "certificates", Run: checkCertificates},
		{Name: "containerd", Isolation: true, Run: checkContainerd},
		{Name: "runc", Isolation: true, Run: checkRunc},
		{Name: "cni", Isolation: true, Run: checkCNI},
		{Name: "rules", Isolation: true, Run: checkRules},
		{Name: "cgroups", Isolation: true, Run: checkCgroups},
		{Name: "overlay", Isolation: true, Run: checkOverlay},
		{Name: "forwarding", Run: checkForwarding},
		{Name: "bridge", Run: checkBridge},
		{Name: "buildkitd", Run: checkBuildkitd},
		{Name: "remote write", Run: checkRemoteWrite},
	}
}

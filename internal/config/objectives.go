package config

// Objectives bounds what is counted for the objectives of apps.
type Objectives struct {
	Journeys int `key:"journeys" doc:"journeys of one app whose requests are counted apart"`
	Probes   int `key:"probes" doc:"probes of all apps that are made at the same time"`
}

// complaints are what is wrong with it.
func (o Objectives) complaints() []error {
	return []error{within("objectives.journeys", o.Journeys, 1, 1000), within("objectives.probes", o.Probes, 1, 1000)}
}

// Package openslo reads and writes objectives as OpenSLO v1 documents.
package openslo

// Version is the one that is read.
const Version = "openslo/v1"

// Kind is what an object is.
type Kind string

// The kinds.
const (
	KindService    Kind = "Service"
	KindDataSource Kind = "DataSource"
	KindSLI        Kind = "SLI"
	KindSLO        Kind = "SLO"
	KindPolicy     Kind = "AlertPolicy"
	KindCondition  Kind = "AlertCondition"
	KindTarget     Kind = "AlertNotificationTarget"
)

// Kinds lists all of them.
func Kinds() []Kind {
	return []Kind{KindDataSource, KindSLO, KindSLI, KindPolicy, KindCondition, KindTarget, KindService}
}

// Object is one object of a file. Spec is a pointer to the type of its kind:
// *Service, *DataSource, *SLI, *SLO, *AlertPolicy, *AlertCondition or
// *NotificationTarget.
type Object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       Kind     `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`

	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// Metadata names an object.
type Metadata struct {
	Name        string            `yaml:"name"`
	DisplayName string            `yaml:"displayName,omitempty"`
	Labels      map[string]Label  `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// Label is one text, or several.
type Label []string

// Service groups SLOs; naru's is an app.
type Service struct {
	Description string `yaml:"description,omitempty"`
}

// DataSource is where metrics are; naru has its own and does not connect to others.
type DataSource struct {
	Description string `yaml:"description,omitempty"`
	Type        string `yaml:"type"`
	Details     any    `yaml:"connectionDetails"` // may hold keys: never part of a message
}

// SLI says what is measured.
type SLI struct {
	Description     string       `yaml:"description,omitempty"`
	ThresholdMetric *Metric      `yaml:"thresholdMetric,omitempty"`
	RatioMetric     *RatioMetric `yaml:"ratioMetric,omitempty"`
}

// RatioMetric is good or bad of total, or a ratio that somebody worked out.
type RatioMetric struct {
	Counter bool    `yaml:"counter,omitempty"`
	Good    *Metric `yaml:"good,omitempty"`
	Bad     *Metric `yaml:"bad,omitempty"`
	Total   *Metric `yaml:"total,omitempty"`
	RawType string  `yaml:"rawType,omitempty"` // success, failure
	Raw     *Metric `yaml:"raw,omitempty"`
}

// Metric is one query.
type Metric struct {
	Source MetricSource `yaml:"metricSource"`
}

// MetricSource says where and how to ask.
type MetricSource struct {
	Ref  string         `yaml:"metricSourceRef,omitempty"`
	Type string         `yaml:"type,omitempty"`
	Spec map[string]any `yaml:"spec"`
}

// SLO is what is wanted.
type SLO struct {
	Description   string      `yaml:"description,omitempty"`
	Service       string      `yaml:"service"`
	Indicator     *Inline     `yaml:"indicator,omitempty"`
	IndicatorRef  string      `yaml:"indicatorRef,omitempty"`
	TimeWindow    []Window    `yaml:"timeWindow,omitempty"`
	Method        string      `yaml:"budgetingMethod"`
	Objectives    []Objective `yaml:"objectives"`
	AlertPolicies []PolicyRef `yaml:"alertPolicies,omitempty"`
}

// Inline is an SLI within an SLO.
type Inline struct {
	Metadata Metadata `yaml:"metadata"`
	Spec     SLI      `yaml:"spec"`
}

// Window is the time over which an SLO is to be met.
type Window struct {
	Duration  string    `yaml:"duration"`
	IsRolling bool      `yaml:"isRolling"`
	Calendar  *Calendar `yaml:"calendar,omitempty"`
}

// Calendar is when its periods begin.
type Calendar struct {
	StartTime string `yaml:"startTime"` // "2006-01-02 15:04:05"
	TimeZone  string `yaml:"timeZone"`
}

// Objective is one target of an SLO.
type Objective struct {
	DisplayName     string   `yaml:"displayName,omitempty"`
	Op              string   `yaml:"op,omitempty"`
	Value           *float64 `yaml:"value,omitempty"`
	Target          *float64 `yaml:"target,omitempty"`
	TargetPercent   *float64 `yaml:"targetPercent,omitempty"`
	TimeSliceTarget *float64 `yaml:"timeSliceTarget,omitempty"`
	TimeSliceWindow string   `yaml:"timeSliceWindow,omitempty"` // a number alone is minutes
	Indicator       *Inline  `yaml:"indicator,omitempty"`
	IndicatorRef    string   `yaml:"indicatorRef,omitempty"`
	Weight          *float64 `yaml:"compositeWeight,omitempty"`
}

// PolicyRef is an alert policy within an SLO, or the name of one.
type PolicyRef struct {
	Ref      string       `yaml:"alertPolicyRef,omitempty"`
	Kind     Kind         `yaml:"kind,omitempty"`
	Metadata *Metadata    `yaml:"metadata,omitempty"`
	Spec     *AlertPolicy `yaml:"spec,omitempty"`
}

// AlertPolicy says who is told when.
type AlertPolicy struct {
	Description         string         `yaml:"description,omitempty"`
	AlertWhenNoData     bool           `yaml:"alertWhenNoData,omitempty"`
	AlertWhenResolved   bool           `yaml:"alertWhenResolved,omitempty"`
	AlertWhenBreaching  bool           `yaml:"alertWhenBreaching,omitempty"`
	Conditions          []ConditionRef `yaml:"conditions"`
	NotificationTargets []TargetRef    `yaml:"notificationTargets"`
}

// ConditionRef is a condition within a policy, or the name of one.
type ConditionRef struct {
	Ref      string          `yaml:"conditionRef,omitempty"`
	Kind     Kind            `yaml:"kind,omitempty"`
	Metadata *Metadata       `yaml:"metadata,omitempty"`
	Spec     *AlertCondition `yaml:"spec,omitempty"`
}

// TargetRef is a notification target within a policy, or the name of one.
type TargetRef struct {
	Ref      string              `yaml:"targetRef,omitempty"`
	Kind     Kind                `yaml:"kind,omitempty"`
	Metadata *Metadata           `yaml:"metadata,omitempty"`
	Spec     *NotificationTarget `yaml:"spec,omitempty"`
}

// AlertCondition says when a policy alarms.
type AlertCondition struct {
	Description string   `yaml:"description,omitempty"`
	Severity    string   `yaml:"severity"`
	Condition   BurnRate `yaml:"condition"`
}

// BurnRate compares how fast the budget goes.
type BurnRate struct {
	Kind      string   `yaml:"kind"` // burnrate, which "" is too
	Op        string   `yaml:"op"`
	Threshold *float64 `yaml:"threshold"`
	Lookback  string   `yaml:"lookbackWindow"`
	After     string   `yaml:"alertAfter,omitempty"`
}

// NotificationTarget is somebody who is told.
type NotificationTarget struct {
	Description string `yaml:"description,omitempty"`
	Target      string `yaml:"target"`
}

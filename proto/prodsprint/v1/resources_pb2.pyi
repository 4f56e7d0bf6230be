import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Project(_message.Message):
    __slots__ = ("workspace", "name", "keys")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    name: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workspace: _Optional[str] = ..., name: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("key", "target", "sync_status", "health_status", "conditions", "desired", "stable", "rollout", "quarantined", "pause", "instances", "traffic", "observation_error", "problem", "generation", "revision", "waiting_for")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SYNC_STATUS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_STATUS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    key: str
    target: str
    sync_status: str
    health_status: str
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    desired: Release
    stable: Release
    rollout: Rollout
    quarantined: bool
    pause: Pause
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    traffic: Traffic
    observation_error: str
    problem: str
    generation: int
    revision: int
    waiting_for: str
    def __init__(self, key: _Optional[str] = ..., target: _Optional[str] = ..., sync_status: _Optional[str] = ..., health_status: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., desired: _Optional[_Union[Release, _Mapping]] = ..., stable: _Optional[_Union[Release, _Mapping]] = ..., rollout: _Optional[_Union[Rollout, _Mapping]] = ..., quarantined: bool = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ..., traffic: _Optional[_Union[Traffic, _Mapping]] = ..., observation_error: _Optional[str] = ..., problem: _Optional[str] = ..., generation: _Optional[int] = ..., revision: _Optional[int] = ..., waiting_for: _Optional[str] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("type", "status", "reason", "message", "observed_generation", "last_transition_time")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    LAST_TRANSITION_TIME_FIELD_NUMBER: _ClassVar[int]
    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: _timestamp_pb2.Timestamp
    def __init__(self, type: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., observed_generation: _Optional[int] = ..., last_transition_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("digest", "version", "revision", "source", "commit", "path", "status", "reason", "quarantined_at", "components")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    version: str
    revision: str
    source: str
    commit: str
    path: str
    status: str
    reason: str
    quarantined_at: _timestamp_pb2.Timestamp
    components: _containers.RepeatedCompositeFieldContainer[Component]
    def __init__(self, digest: _Optional[str] = ..., version: _Optional[str] = ..., revision: _Optional[str] = ..., source: _Optional[str] = ..., commit: _Optional[str] = ..., path: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., quarantined_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., components: _Optional[_Iterable[_Union[Component, _Mapping]]] = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("name", "version", "revision", "source", "instances", "port")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    revision: str
    source: str
    instances: int
    port: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., revision: _Optional[str] = ..., source: _Optional[str] = ..., instances: _Optional[int] = ..., port: _Optional[int] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("attempt", "kind", "release", "phase", "step", "steps", "weight", "step_weight", "started_at", "entered_at", "held_since", "result", "reason", "analysis")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    STEP_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENTERED_AT_FIELD_NUMBER: _ClassVar[int]
    HELD_SINCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    kind: str
    release: Release
    phase: str
    step: int
    steps: int
    weight: int
    step_weight: int
    started_at: _timestamp_pb2.Timestamp
    entered_at: _timestamp_pb2.Timestamp
    held_since: _timestamp_pb2.Timestamp
    result: str
    reason: str
    analysis: Analysis
    def __init__(self, attempt: _Optional[int] = ..., kind: _Optional[str] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., phase: _Optional[str] = ..., step: _Optional[int] = ..., steps: _Optional[int] = ..., weight: _Optional[int] = ..., step_weight: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., entered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., held_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., result: _Optional[str] = ..., reason: _Optional[str] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class Analysis(_message.Message):
    __slots__ = ("verdict", "reason", "dwell", "step_requests", "canary_requests", "canary_failed", "control_requests", "control_failed", "numbers")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DWELL_FIELD_NUMBER: _ClassVar[int]
    STEP_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    CANARY_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    CANARY_FAILED_FIELD_NUMBER: _ClassVar[int]
    CONTROL_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FAILED_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    verdict: str
    reason: str
    dwell: _duration_pb2.Duration
    step_requests: int
    canary_requests: int
    canary_failed: int
    control_requests: int
    control_failed: int
    numbers: str
    def __init__(self, verdict: _Optional[str] = ..., reason: _Optional[str] = ..., dwell: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., step_requests: _Optional[int] = ..., canary_requests: _Optional[int] = ..., canary_failed: _Optional[int] = ..., control_requests: _Optional[int] = ..., control_failed: _Optional[int] = ..., numbers: _Optional[str] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("who", "reason", "since", "until")
    WHO_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    who: str
    reason: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, who: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("id", "digest", "ordinal", "status", "endpoint", "restarts", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    digest: str
    ordinal: int
    status: str
    endpoint: str
    restarts: int
    message: str
    def __init__(self, id: _Optional[str] = ..., digest: _Optional[str] = ..., ordinal: _Optional[int] = ..., status: _Optional[str] = ..., endpoint: _Optional[str] = ..., restarts: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class Traffic(_message.Message):
    __slots__ = ("port", "stable", "canary", "weight")
    PORT_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    port: int
    stable: Backend
    canary: Backend
    weight: int
    def __init__(self, port: _Optional[int] = ..., stable: _Optional[_Union[Backend, _Mapping]] = ..., canary: _Optional[_Union[Backend, _Mapping]] = ..., weight: _Optional[int] = ...) -> None: ...

class Backend(_message.Message):
    __slots__ = ("digest", "endpoints")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digest: _Optional[str] = ..., endpoints: _Optional[_Iterable[str]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("attempt", "kind", "digest", "version", "revision", "commit", "result", "reason", "started_at", "ended_at", "bad_requests", "restore_time")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    BAD_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESTORE_TIME_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    kind: str
    digest: str
    version: str
    revision: str
    commit: str
    result: str
    reason: str
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    bad_requests: int
    restore_time: _duration_pb2.Duration
    def __init__(self, attempt: _Optional[int] = ..., kind: _Optional[str] = ..., digest: _Optional[str] = ..., version: _Optional[str] = ..., revision: _Optional[str] = ..., commit: _Optional[str] = ..., result: _Optional[str] = ..., reason: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bad_requests: _Optional[int] = ..., restore_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("key", "generation", "parent", "digest", "reason", "actions", "canonical")
    KEY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_FIELD_NUMBER: _ClassVar[int]
    key: str
    generation: int
    parent: int
    digest: str
    reason: str
    actions: _containers.RepeatedCompositeFieldContainer[Action]
    canonical: str
    def __init__(self, key: _Optional[str] = ..., generation: _Optional[int] = ..., parent: _Optional[int] = ..., digest: _Optional[str] = ..., reason: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[Action, _Mapping]]] = ..., canonical: _Optional[str] = ...) -> None: ...

class Action(_message.Message):
    __slots__ = ("scale", "set_route")
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SET_ROUTE_FIELD_NUMBER: _ClassVar[int]
    scale: Scale
    set_route: SetRoute
    def __init__(self, scale: _Optional[_Union[Scale, _Mapping]] = ..., set_route: _Optional[_Union[SetRoute, _Mapping]] = ...) -> None: ...

class Scale(_message.Message):
    __slots__ = ("digest", "count")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    count: int
    def __init__(self, digest: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class SetRoute(_message.Message):
    __slots__ = ("port", "stable", "canary", "weight")
    PORT_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    port: int
    stable: str
    canary: str
    weight: int
    def __init__(self, port: _Optional[int] = ..., stable: _Optional[str] = ..., canary: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("condition", "message", "who", "deadline", "next_look")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    NEXT_LOOK_FIELD_NUMBER: _ClassVar[int]
    condition: str
    message: str
    who: str
    deadline: _timestamp_pb2.Timestamp
    next_look: _timestamp_pb2.Timestamp
    def __init__(self, condition: _Optional[str] = ..., message: _Optional[str] = ..., who: _Optional[str] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_look: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("id", "workspace", "seq", "time", "actor", "key", "generation", "type", "message", "body", "previous", "hash")
    ID_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    id: int
    workspace: str
    seq: int
    time: _timestamp_pb2.Timestamp
    actor: str
    key: str
    generation: int
    type: str
    message: str
    body: str
    previous: str
    hash: str
    def __init__(self, id: _Optional[int] = ..., workspace: _Optional[str] = ..., seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., key: _Optional[str] = ..., generation: _Optional[int] = ..., type: _Optional[str] = ..., message: _Optional[str] = ..., body: _Optional[str] = ..., previous: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class ChainReport(_message.Message):
    __slots__ = ("workspace", "entries", "head", "fault")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    entries: int
    head: str
    fault: str
    def __init__(self, workspace: _Optional[str] = ..., entries: _Optional[int] = ..., head: _Optional[str] = ..., fault: _Optional[str] = ...) -> None: ...

"""The control database. Readable identifiers are nowhere in it."""

from erasure.models.calls import Call
from erasure.models.canaries import CanaryRound
from erasure.models.complaints import Complaint
from erasure.models.decisions import HeldPerson, Hold, KeptDataset
from erasure.models.evidence import Certificate, LedgerHead, LedgerLeaf
from erasure.models.expiries import Expiry, RetentionLook, StandingApproval, StayingRow
from erasure.models.exports import Export
from erasure.models.letters import Letter
from erasure.models.model_jobs import ModelJob, ModelWait
from erasure.models.plans import Plan, PlanStep
from erasure.models.records import Pause, Reasoning, Token
from erasure.models.requests import (
    DataKey,
    ErasureRequest,
    Event,
    Identifier,
    SuppressionEntry,
)
from erasure.models.runs import (
    Batch,
    Lease,
    Notice,
    Run,
    ScanResult,
    SealedNeedles,
    StoreRun,
    StoreScan,
)
from erasure.models.staff import StaffTraining
from erasure.models.tokens import ApiToken, IdempotencyKey
from erasure.models.windows import Capture, DateDue, ImageChunk, UndoWindow

__all__ = [
    "ApiToken",
    "Batch",
    "Call",
    "CanaryRound",
    "Capture",
    "Certificate",
    "Complaint",
    "DataKey",
    "DateDue",
    "ErasureRequest",
    "Event",
    "Expiry",
    "Export",
    "HeldPerson",
    "Hold",
    "IdempotencyKey",
    "Identifier",
    "ImageChunk",
    "KeptDataset",
    "Lease",
    "LedgerHead",
    "LedgerLeaf",
    "Letter",
    "ModelJob",
    "ModelWait",
    "Notice",
    "Pause",
    "Plan",
    "PlanStep",
    "Reasoning",
    "RetentionLook",
    "Run",
    "ScanResult",
    "SealedNeedles",
    "StaffTraining",
    "StandingApproval",
    "StayingRow",
    "StoreRun",
    "StoreScan",
    "SuppressionEntry",
    "Token",
    "UndoWindow",
]

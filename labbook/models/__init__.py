"""What is stored: one noun per file. Importing this package makes every table known."""

from labbook.models.base import Base, Instant
from labbook.models.deputy import Deputy
from labbook.models.environment import Environment, EnvironmentVersion
from labbook.models.equipment import Equipment, EquipmentDraw, EquipmentQualification, Place
from labbook.models.facility import ChangeCounter, Closure, Facility, Room, Utility
from labbook.models.history import HistoryEntry, Message, Remark
from labbook.models.kiosk import FaultReport, KioskDevice, Relay, RelayReceiver
from labbook.models.long_test import Pause, Visit
from labbook.models.notification import NotificationPreference, SentInvitation
from labbook.models.organisation import Organisation
from labbook.models.outbox import IdempotencyKey, OutboxMessage
from labbook.models.project import Project, ProjectMember
from labbook.models.reservation import Allocation, Change, Draw, Participant, Piece, Reservation
from labbook.models.scheduler import SchedulerHeartbeat
from labbook.models.token import ApiToken, Feed, OneTimeLink
from labbook.models.user import Qualification, QualificationKind, StaffMembership, User
from labbook.models.waitlist import WaitlistEntry, WaitlistWant
from labbook.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "Allocation",
    "ApiToken",
    "Base",
    "Change",
    "ChangeCounter",
    "Closure",
    "Deputy",
    "Draw",
    "Environment",
    "EnvironmentVersion",
    "Equipment",
    "EquipmentDraw",
    "EquipmentQualification",
    "Facility",
    "FaultReport",
    "Feed",
    "HistoryEntry",
    "IdempotencyKey",
    "Instant",
    "KioskDevice",
    "Message",
    "NotificationPreference",
    "OneTimeLink",
    "Organisation",
    "OutboxMessage",
    "Participant",
    "Pause",
    "Piece",
    "Place",
    "Project",
    "ProjectMember",
    "Qualification",
    "QualificationKind",
    "Relay",
    "RelayReceiver",
    "Remark",
    "Reservation",
    "Room",
    "SchedulerHeartbeat",
    "SentInvitation",
    "StaffMembership",
    "User",
    "Utility",
    "Visit",
    "WaitlistEntry",
    "WaitlistWant",
    "Webhook",
    "WebhookDelivery",
]

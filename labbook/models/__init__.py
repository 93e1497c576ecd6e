"""What is stored: one noun per file. Importing this package makes every table known."""

from labbook.models.base import Base, Instant
from labbook.models.environment import Environment, EnvironmentVersion
from labbook.models.equipment import Equipment, EquipmentDraw, EquipmentQualification, Place
from labbook.models.facility import ChangeCounter, Closure, Facility, Room, Utility
from labbook.models.history import HistoryEntry, Message, Remark
from labbook.models.organisation import Organisation
from labbook.models.outbox import IdempotencyKey, OutboxMessage
from labbook.models.project import Project, ProjectMember
from labbook.models.reservation import Allocation, Change, Draw, Participant, Piece, Reservation
from labbook.models.scheduler import SchedulerHeartbeat
from labbook.models.token import ApiToken, Feed, OneTimeLink
from labbook.models.user import Qualification, QualificationKind, StaffMembership, User

__all__ = [
    "Allocation",
    "ApiToken",
    "Base",
    "Change",
    "ChangeCounter",
    "Closure",
    "Draw",
    "Environment",
    "EnvironmentVersion",
    "Equipment",
    "EquipmentDraw",
    "EquipmentQualification",
    "Facility",
    "Feed",
    "HistoryEntry",
    "IdempotencyKey",
    "Instant",
    "Message",
    "OneTimeLink",
    "Organisation",
    "OutboxMessage",
    "Participant",
    "Piece",
    "Place",
    "Project",
    "ProjectMember",
    "Qualification",
    "QualificationKind",
    "Remark",
    "Reservation",
    "Room",
    "SchedulerHeartbeat",
    "StaffMembership",
    "User",
    "Utility",
]

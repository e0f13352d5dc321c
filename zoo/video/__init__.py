"""Video: optical flow, warping, occlusions, and streams of frames in and out."""

from .flow import dis_flow
from .raft import flow_by, raft_flow
from .reader import Frame, VideoReader
from .warp import motion_boundary, occluded, trusted, warp
from .writer import VideoWriter

__all__ = [
    "Frame",
    "VideoReader",
    "VideoWriter",
    "dis_flow",
    "flow_by",
    "motion_boundary",
    "occluded",
    "raft_flow",
    "trusted",
    "warp",
]

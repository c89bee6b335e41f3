# SPDX-License-Identifier: BSD-2-Clause
"""The dashboards, one module each."""

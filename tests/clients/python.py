"""The Python client: lists the tools, calls one, and prints what it saw as one JSON document.

Usage: python.py URL KEY TOOL
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, key: str, tool: str) -> None:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            listed = await client.list_tools()
            result = await client.call_tool(tool, {})
            print(
                json.dumps(
                    {
                        "protocol": str(client.protocol_version),
                        "tools": [each.name for each in listed.tools],
                        "structuredContent": result.structured_content,
                        "isError": bool(result.is_error),
                    }
                )
            )


asyncio.run(main(*sys.argv[1:]))
